//! What is said on one side is understood on the other.

use protocol::CallableId;

use super::*;

fn sent(refusal: Refusal) -> Refusal {
    let text = serde_json::to_vec(&refusal).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn what_hangs_is_named_the_same_on_the_other_side() {
    let call = RunningCall {
        callable: CallableId::new(5).unwrap(),
        function: ForeignFunction::Constructor { number: 2, count: 3 },
        address: Some(0x1139),
        label: Some(ImageLabel {
            soname: SymbolName::new(b"liba.so"),
            build_id: BuildId::new(&[0x1a, 0x0b]),
        }),
        running_us: 1,
    };
    let running = Duration::from_millis(7);
    for cause in [
        LostCause::Function(Box::new(call)),
        LostCause::Kernel { core: 3, func_id: FuncId::new(2).ok(), running },
        LostCause::Orchestration,
        LostCause::Executor,
    ] {
        let lost = DeviceLost { cause, fault: Some(Box::new(fault(9, "first"))) };
        match sent(lost.clone().into()).into_device() {
            DeviceError::Lost(other) => assert_eq!(other, lost),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn errors_keep_their_kinds_and_numbers() {
    let address = DeviceAddr::new(64);
    for error in [
        MemoryError::Exhausted { bytes: 5 },
        MemoryError::UnknownAddress { address },
        MemoryError::OutOfRange { address, bytes: 9 },
        MemoryError::Gone,
    ] {
        assert_eq!(sent(error.clone().into()).into_memory(), error);
    }
    let kernel = KernelError::Exception { function: "destructors", text: "int".to_owned() };
    match sent(kernel.into()).into_kernel() {
        KernelError::Exception { function: "destructors", text } => assert_eq!(text, "int"),
        other => panic!("{other:?}"),
    }
    let limit = Duration::from_millis(7);
    let hangs = Refusal::from(KernelError::NotReturned { function: "destructors", limit });
    let what = "a destructor of a kernel";
    assert_eq!(hangs.leaves_running(), Some(LostCause::NotEnded { what, limit }));
    assert_eq!(Refusal::Gone.leaves_running(), None);
    match sent(hangs).into_kernel() {
        KernelError::Lost(lost) => assert_eq!(lost.cause, LostCause::NotEnded { what, limit }),
        other => panic!("{other:?}"),
    }
    let launch = DeviceError::OutOfRange { what: "clusters", value: 25, max: 24 };
    let text = launch.to_string();
    assert_eq!(sent(launch.into()).into_device().to_string(), text);
    let load = LoadFault::new(CallableId::new(3).unwrap(), &fault(4711, "mine"), None);
    match sent(DeviceError::Load(load.clone()).into()).into_device() {
        DeviceError::Load(other) => assert_eq!(other, load),
        other => panic!("{other:?}"),
    }
}
