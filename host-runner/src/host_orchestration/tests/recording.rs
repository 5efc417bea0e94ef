//! Where the host's sides of copies and outputs are said to be.

use super::*;

/// Copies parts of tensor 0, and memory of its own; both are outputs, too.
const BODY: &str = r#"
    char *in = (char *)args.tensors[0].data, *out = (char *)args.tensors[1].data;
    char own[16] = "own memory";
    static char elsewhere[16];
    char *device = (char *)ops.device_malloc(rt, 64);
    ops.copy_to_device(rt, device, in, 32);
    ops.copy_to_device(rt, device, in + 24, 8);
    ops.copy_to_device(rt, device + 1, own, 16);
    own[0] = 'O';
    ops.copy_to_device(rt, device, own, 3);
    ops.copy_to_device(rt, device, own, 0);
    ops.record_tensor_pair(rt, out + 8, device, 24);
    ops.record_tensor_pair(rt, elsewhere, device, 16);
    ops.record_tensor_pair(rt, in, device, 8);
    return 0;
"#;

#[test]
fn a_recording_says_where_everything_comes_from_and_goes_to() {
    let orchestration = open("", BODY);
    let (mut input, mut output) = ([1; 4], [0; 4]);
    let mut fixture = Fixture::new();
    fixture.pass(&mut input);
    fixture.pass(&mut output);
    let built = fixture.build_as(&orchestration, BuildMode::Record).unwrap();
    let start = built.outputs[0].device;
    let copy = |offset, bytes, source| {
        let device = DeviceAddr::new(start.raw() + offset);
        RecordedCopy { device, bytes, source }
    };
    let argument = |offset| CopySource::Argument { tensor: 0, offset };
    let own = |bytes: &[u8]| CopySource::Bytes(bytes.into());
    let copies = vec![
        copy(0, 32, argument(0)),
        copy(0, 8, argument(24)),
        copy(1, 16, own(b"own memory\0\0\0\0\0\0")),
        copy(0, 3, own(b"Own")),
    ];
    let targets = vec![
        OutputTarget::Argument { tensor: 1, offset: 8 },
        OutputTarget::Elsewhere,
        OutputTarget::Argument { tensor: 0, offset: 0 },
    ];
    assert_eq!(built.recording, Some(Recording { copies, targets }));
    assert_eq!(built.copies, Copies { count: 4, bytes: 59 });
    let plain = fixture.build(&orchestration).unwrap();
    assert_eq!(plain, Built { recording: None, ..built });
}

#[test]
fn only_what_is_whole_inside_a_host_tensor_belongs_to_it() {
    let body = r#"
        char *in = (char *)args.tensors[0].data, *device = (char *)ops.device_malloc(rt, 64);
        ops.copy_to_device(rt, device, in + 8, 16);
        ops.copy_to_device(rt, device, in + 24, 8);
        ops.record_tensor_pair(rt, in + 12, device, 8);
        ops.record_tensor_pair(rt, in + 8, device, 8);
        return 0;
    "#;
    let orchestration = open("", body);
    let mut words = [1_u64, 2, 3, 4];
    let mut fixture = Fixture::new();
    let (first, rest) = words.split_at_mut(2);
    fixture.pass(first);
    fixture.pass(rest);
    let targets = |fixture: &mut Fixture| {
        let built = fixture.build_as(&orchestration, BuildMode::Record).unwrap();
        let Recording { copies, targets } = built.recording.unwrap();
        (copies.into_iter().map(|copy| copy.source).collect::<Vec<_>>(), targets)
    };
    let across = CopySource::Partly { tensor: 0 };
    let last = CopySource::Argument { tensor: 1, offset: 8 };
    let inside = OutputTarget::Argument { tensor: 0, offset: 8 };
    let found = targets(&mut fixture);
    assert_eq!(found, (vec![across, last], vec![OutputTarget::Elsewhere, inside]));
    // Device memory is nobody's place in the host, whatever its address is.
    fixture.arguments.tensors[1].child_memory = 1;
    let (copies, _) = targets(&mut fixture);
    assert_eq!(copies[1], CopySource::Bytes(4_u64.to_ne_bytes().into()));
    // Of two tensors that share memory, it is the first.
    fixture.arguments.tensors[1] = fixture.arguments.tensors[0];
    assert_eq!(targets(&mut fixture).1[1], inside);
}
