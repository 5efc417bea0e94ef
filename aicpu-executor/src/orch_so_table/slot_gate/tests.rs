//! Every arrow of the diagram, every refusal, and random walks against a plain account of who is
//! where.

use std::vec::Vec;

use proptest::prelude::*;

use super::*;

fn live(generation: u32) -> SlotGate {
    let gate = SlotGate::new();
    let inside = gate.begin_load(generation).expect("empty").publish().expect("not given up");
    assert!(inside.leave().is_none());
    gate
}

#[track_caller]
fn assert_slot(gate: &SlotGate, state: State, inside: u32, generation: u32) {
    assert_eq!(gate.look(), Occupancy { state, inside, generation });
}

#[test]
fn a_slot_is_filled_entered_left_and_emptied() {
    let gate = SlotGate::new();
    assert_slot(&gate, State::Empty, 0, 0);
    let filling = gate.begin_load(7).unwrap();
    assert_slot(&gate, State::Loading, 1, 7);
    let loader = filling.publish().unwrap();
    let run = gate.enter(Some(7)).unwrap();
    assert_slot(&gate, State::Live, 2, 7);
    assert!(loader.leave().is_none());
    assert!(run.leave().is_none());
    assert_slot(&gate, State::Live, 0, 7);
    let Unload::Now(duty) = gate.begin_unload(Some(7)) else { panic!("nobody is inside") };
    assert_slot(&gate, State::Going, 1, 7);
    duty.finish();
    assert_slot(&gate, State::Empty, 0, 0);
}

#[test]
fn each_state_refuses_what_does_not_fit_it_and_stays() {
    /// What entering, loading and making room are refused with.
    #[track_caller]
    fn check(gate: &SlotGate, enter: Refused, load: Refused, retire: Option<Refused>) {
        let before = gate.look();
        assert_eq!(gate.enter(None).unwrap_err(), enter);
        assert_eq!(gate.begin_load(9).unwrap_err(), load);
        assert_eq!(gate.retire().err(), retire);
        assert_eq!(gate.look(), before);
    }
    let gate = SlotGate::new();
    assert_eq!(gate.enter(Some(1)).unwrap_err(), Refused::Empty);
    assert!(gate.retire().unwrap().is_none());
    assert!(!gate.quarantine());

    let filling = gate.begin_load(1).unwrap();
    check(&gate, Refused::Loading, Refused::Loading, Some(Refused::Loading));
    let inside = filling.publish().unwrap();
    assert!(!gate.quarantine(), "a run is not given up on here");
    let in_use = Refused::InUse { inside: 1 };
    assert_eq!(gate.begin_load(9).unwrap_err(), in_use);
    assert_eq!(gate.retire().unwrap_err(), in_use);
    assert_slot(&gate, State::Live, 1, 1);
    assert!(matches!(gate.begin_unload(None), Unload::Deferred));
    let going = Refused::Going { inside: 1 };
    check(&gate, going, going, Some(going));
    let duty = inside.leave().unwrap();
    check(&gate, going, going, Some(going));
    assert!(gate.quarantine());
    check(&gate, Refused::Quarantined, Refused::Quarantined, Some(Refused::Quarantined));
    duty.finish();
    assert_slot(&gate, State::Empty, 0, 0);
}

#[test]
fn unloading_twice_is_an_answer_and_unloads_once() {
    let gate = live(3);
    let inside = gate.enter(None).unwrap();
    assert!(matches!(gate.begin_unload(Some(3)), Unload::Deferred));
    assert!(matches!(gate.begin_unload(Some(3)), Unload::Deferred));
    let duty = inside.leave().unwrap();
    assert!(matches!(gate.begin_unload(None), Unload::Deferred));
    duty.finish();
    assert!(matches!(gate.begin_unload(Some(3)), Unload::NothingLoaded));
    assert!(matches!(SlotGate::new().begin_unload(None), Unload::NothingLoaded));
}

#[test]
fn a_stale_generation_neither_enters_nor_unloads_whatever_the_state() {
    for wanted in [1, 3, u32::MAX, 0] {
        let gate = live(2);
        let stale = Refused::Stale { loaded: 2, wanted };
        let check = |gate: &SlotGate| {
            assert_eq!(gate.enter(Some(wanted)).unwrap_err(), stale);
            assert!(matches!(gate.begin_unload(Some(wanted)), Unload::Stale { loaded: 2 }));
        };
        check(&gate);
        let inside = gate.enter(Some(2)).unwrap();
        check(&gate);
        assert!(matches!(gate.begin_unload(Some(2)), Unload::Deferred));
        check(&gate);
        inside.leave().unwrap().finish();

        let filling = gate.begin_load(2).unwrap();
        check(&gate);
        assert!(gate.quarantine());
        check(&gate);
        filling.give_up().finish();
    }
}

#[test]
fn an_unload_while_loading_is_done_by_the_loader_after_its_run() {
    let gate = SlotGate::new();
    let filling = gate.begin_load(1).unwrap();
    assert!(matches!(gate.begin_unload(Some(1)), Unload::Deferred));
    let inside = filling.publish().unwrap();
    assert_eq!(gate.enter(Some(1)).unwrap_err(), Refused::Going { inside: 1 });
    inside.leave().unwrap().finish();
    assert_slot(&gate, State::Empty, 0, 0);
}

#[test]
fn a_quarantine_ends_when_the_lost_thread_comes_out_and_not_before() {
    let gate = SlotGate::new();
    let filling = gate.begin_load(1).unwrap();
    assert!(!filling.is_quarantined());
    assert!(gate.quarantine());
    assert!(filling.is_quarantined());
    assert!(!gate.quarantine(), "once is enough");
    assert!(matches!(gate.begin_unload(None), Unload::Quarantined));
    assert_slot(&gate, State::Quarantined, 1, 1);
    let duty = filling.publish().unwrap_err();
    assert_slot(&gate, State::Quarantined, 1, 1);
    duty.finish();
    assert!(gate.begin_load(2).is_ok());
}

#[test]
fn a_load_that_fails_leaves_an_empty_slot() {
    let gate = SlotGate::new();
    let duty = gate.begin_load(1).unwrap().give_up();
    assert_slot(&gate, State::Going, 1, 1);
    duty.finish();
    assert_slot(&gate, State::Empty, 0, 0);
}

#[test]
fn a_token_that_is_dropped_keeps_the_code_where_it_is() {
    let gate = live(1);
    drop(gate.enter(None).unwrap());
    assert!(matches!(gate.begin_unload(None), Unload::Deferred));
    assert_slot(&gate, State::Going, 1, 1);
}

#[test]
fn the_count_of_threads_stops_short_of_the_generation() {
    for (inside, enters) in [(INSIDE_MAX - 1, true), (INSIDE_MAX, false)] {
        let slot = Occupancy { state: State::Live, inside, generation: 1 };
        let gate = SlotGate(AtomicU64::new(slot.pack()));
        assert_eq!(
            gate.enter(None).map(drop),
            match enters {
                true => Ok(()),
                false => Err(Refused::InUse { inside }),
            }
        );
        assert_slot(&gate, State::Live, INSIDE_MAX, 1);
    }
}

/// What threads hold.
#[derive(Debug, Default)]
struct Held<'g> {
    filling: Option<Filling<'g>>,
    inside: Vec<Inside<'g>>,
    emptying: Option<Emptying<'g>>,
}

/// What is known of the slot without the word.
#[derive(Debug, Default, Clone, Copy)]
struct Account {
    loaded: Option<u32>,
    unload_wanted: bool,
    given_up: bool,
}

impl Account {
    /// Why a thread with this generation does not get in.
    fn refuses(self, held: &Held<'_>, wanted: Option<u32>) -> Option<Refused> {
        let Some(loaded) = self.loaded else { return Some(Refused::Empty) };
        let threads = held.inside.len()
            + usize::from(held.filling.is_some())
            + usize::from(held.emptying.is_some());
        let inside = u32::try_from(threads).expect("a few");
        if let Some(wanted) = wanted.filter(|wanted| *wanted != loaded) {
            return Some(Refused::Stale { loaded, wanted });
        }
        if self.given_up {
            return Some(Refused::Quarantined);
        }
        if self.unload_wanted || held.emptying.is_some() {
            return Some(Refused::Going { inside });
        }
        held.filling.is_some().then_some(Refused::Loading)
    }
}

/// A step of a random walk; the numbers are generations.
#[derive(Debug, Clone, Copy)]
enum Move {
    Load(u32),
    Publish,
    GiveUp,
    Enter(Option<u32>),
    Leave,
    Unload(Option<u32>),
    Retire,
    Quarantine,
    Finish,
}

fn moves() -> impl Strategy<Value = Move> {
    let generation = || prop_oneof![Just(1_u32), Just(2), Just(u32::MAX)];
    prop_oneof![
        2 => generation().prop_map(Move::Load),
        2 => Just(Move::Publish),
        1 => Just(Move::GiveUp),
        4 => proptest::option::of(generation()).prop_map(Move::Enter),
        4 => Just(Move::Leave),
        1 => proptest::option::of(generation()).prop_map(Move::Unload),
        1 => Just(Move::Retire),
        1 => Just(Move::Quarantine),
        2 => Just(Move::Finish),
    ]
}

/// Makes one move, and asserts that the gate does what the account says.
fn make<'g>(gate: &'g SlotGate, account: &mut Account, held: &mut Held<'g>, each: Move) {
    let refused = account.refuses(held, None);
    let in_use = Refused::InUse { inside: u32::try_from(held.inside.len()).expect("a few") };
    match each {
        Move::Load(generation) => match (gate.begin_load(generation), refused) {
            (Ok(filling), Some(Refused::Empty)) => {
                account.loaded = Some(generation);
                held.filling = Some(filling);
            }
            (Err(error), refused) => assert_eq!(error, refused.unwrap_or(in_use)),
            (Ok(_), refused) => panic!("loads in spite of {refused:?}"),
        },
        Move::Publish => match held.filling.take().map(Filling::publish) {
            Some(Ok(inside)) if !account.given_up => held.inside.push(inside),
            Some(Err(duty)) if account.given_up => held.emptying = Some(duty),
            Some(wrong) => panic!("{wrong:?}"),
            None => {}
        },
        Move::GiveUp => {
            if let Some(filling) = held.filling.take() {
                held.emptying = Some(filling.give_up());
            }
        }
        Move::Enter(wanted) => match (gate.enter(wanted), account.refuses(held, wanted)) {
            (Ok(inside), None) => held.inside.push(inside),
            (entered, expected) => assert_eq!(entered.map(drop).err(), expected),
        },
        Move::Leave => {
            if let Some(inside) = held.inside.pop() {
                held.emptying = inside.leave();
                let last = held.inside.is_empty() && (account.unload_wanted || account.given_up);
                assert_eq!(held.emptying.is_some(), last);
            }
        }
        Move::Unload(wanted) => {
            let refused = account.refuses(held, wanted);
            let is_wanted = matches!(refused, None | Some(Refused::Loading));
            match (gate.begin_unload(wanted), refused) {
                (Unload::Now(duty), None) if held.inside.is_empty() => held.emptying = Some(duty),
                (Unload::Deferred, None) if !held.inside.is_empty() => {}
                (Unload::Deferred, Some(Refused::Loading | Refused::Going { .. }))
                | (Unload::NothingLoaded, Some(Refused::Empty))
                | (Unload::Quarantined, Some(Refused::Quarantined)) => {}
                (Unload::Stale { loaded }, Some(Refused::Stale { loaded: expected, .. })) => {
                    assert_eq!(loaded, expected);
                }
                wrong => panic!("{wrong:?}"),
            }
            account.unload_wanted |= is_wanted;
        }
        Move::Retire => match (gate.retire(), refused) {
            (Ok(Some(duty)), None) if held.inside.is_empty() => held.emptying = Some(duty),
            (Ok(None), Some(Refused::Empty)) => {}
            (Err(error), refused) => assert_eq!(error, refused.unwrap_or(in_use)),
            wrong => panic!("{wrong:?}"),
        },
        Move::Quarantine => {
            let running = held.filling.is_some() || held.emptying.is_some();
            let possible = (running || account.unload_wanted) && !account.given_up;
            assert_eq!(gate.quarantine(), possible && account.loaded.is_some());
            account.given_up |= possible && account.loaded.is_some();
        }
        Move::Finish => {
            if let Some(duty) = held.emptying.take() {
                duty.finish();
                *account = Account::default();
            }
        }
    }
}

proptest! {
    #[test]
    fn any_order_of_operations_has_the_answers_of_a_plain_account(
        walk in proptest::collection::vec(moves(), 0..200),
    ) {
        let gate = SlotGate::new();
        let (mut account, mut held) = (Account::default(), Held::default());
        for each in walk {
            make(&gate, &mut account, &mut held, each);
            let word = gate.look();
            let threads = held.inside.len()
                + usize::from(held.filling.is_some())
                + usize::from(held.emptying.is_some());
            prop_assert_eq!(word.inside as usize, threads);
            prop_assert_eq!(word.generation, account.loaded.unwrap_or(0));
            prop_assert_eq!(Occupancy::unpack(word.pack()), word);
        }
    }
}
