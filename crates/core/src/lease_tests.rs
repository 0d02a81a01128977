use super::*;

const WALL: UnixMillis = UnixMillis(1_760_000_000_000);

fn at(millis: u64) -> Instant {
    Instant::default().plus(Duration::from_millis(millis))
}

/// A tab with what it would read at that moment.
struct Tab {
    lease: Lease,
    rng: Rng,
    is_visible: bool,
}

impl Tab {
    fn new(id: u64, is_visible: bool) -> Self {
        let mut lease = Lease::default();
        lease.share(TabId(id));
        Self { lease, rng: Rng::new(id), is_visible }
    }

    fn reads(&mut self, millis: u64, stored: &mut Option<LeaseRecord>) {
        let (now, is_visible) = (at(millis), self.is_visible);
        let wall = WALL.plus(Duration::from_millis(millis));
        let reader = Reader { now, wall, is_visible, preempts: is_visible };
        let written = self.lease.handle_record(*stored, reader, &mut self.rng);
        *stored = written.or(*stored);
    }

    fn leads(&self, millis: u64) -> bool {
        self.lease.leads(at(millis))
    }

    fn next(&self) -> Instant {
        self.lease.next_timeout().expect("the lease is shared")
    }
}

#[test]
fn a_tab_that_shares_nothing_leads_without_a_lease() {
    let mut lease = Lease::default();
    assert!(lease.leads(at(0)) && lease.next_timeout().is_none());
    let reader = Reader { now: at(0), wall: WALL, is_visible: true, preempts: true };
    assert_eq!(lease.handle_record(None, reader, &mut Rng::new(1)), None);
    assert!(!lease.release());
}

#[test]
fn the_first_tab_leads_and_the_second_follows_until_the_lease_runs_out() {
    let (mut first, mut second) = (Tab::new(1, true), Tab::new(2, true));
    let mut stored = None;
    first.reads(0, &mut stored);
    second.reads(10, &mut stored);
    assert!(first.leads(10) && !second.leads(10));
    assert_eq!(second.lease.leader(), Some(TabId(1)));
    first.reads(5_000, &mut stored);
    second.reads(15_000, &mut stored);
    assert!(!second.leads(15_000), "it was renewed");
    second.reads(20_001, &mut stored);
    assert!(second.leads(20_001) && !first.leads(20_001), "the first could not run");
    first.reads(20_002, &mut stored);
    assert!(!first.leads(20_002), "what the store holds decides");
}

#[test]
fn a_visible_tab_takes_the_place_of_a_hidden_one_at_once_and_not_of_a_visible_one() {
    let (mut hidden, mut visible) = (Tab::new(1, false), Tab::new(2, true));
    let mut stored = None;
    hidden.reads(0, &mut stored);
    hidden.reads(1_001, &mut stored);
    assert!(hidden.leads(1_001));
    visible.reads(2_000, &mut stored);
    assert!(visible.leads(2_000));
    let mut other = Tab::new(3, true);
    other.reads(2_001, &mut stored);
    hidden.reads(2_002, &mut stored);
    assert!(!other.leads(2_001) && !hidden.leads(2_002));
}

#[test]
fn a_lease_that_was_given_up_goes_to_the_tab_that_is_looked_at() {
    let (mut leader, mut hidden) = (Tab::new(1, true), Tab::new(2, false));
    let mut stored = None;
    leader.reads(0, &mut stored);
    hidden.reads(1, &mut stored);
    assert!(leader.lease.release());
    assert!(!leader.leads(2));
    hidden.reads(2, &mut None);
    assert!(!hidden.leads(2), "a visible tab comes first");
    let take_at = hidden.next();
    assert!(take_at <= at(1_002));
    let millis = take_at.since(at(0)).as_millis();
    hidden.reads(millis, &mut None);
    assert!(hidden.leads(millis));
}

#[test]
fn a_forged_lease_holds_for_its_usual_length_however_often_it_is_read() {
    let forged = |epoch| LeaseRecord {
        tab: TabId(9),
        epoch,
        expires_at: UnixMillis(u64::MAX),
        is_visible: true,
    };
    let mut tab = Tab::new(1, true);
    let mut stored = Some(forged(LeaseRecord::MAX_EPOCH + 1));
    tab.reads(0, &mut stored);
    assert!(tab.leads(0), "an epoch that leaps past the largest is no lease");
    let mut tab = Tab::new(1, true);
    let mut stored = Some(forged(LeaseRecord::MAX_EPOCH));
    for millis in (0..15_000).step_by(1_000) {
        tab.reads(millis, &mut stored);
        assert!(!tab.leads(millis));
    }
    tab.reads(15_000, &mut stored);
    assert!(tab.leads(15_000));
    assert_eq!(stored.map(|stored| stored.epoch), Some(LeaseRecord::MAX_EPOCH));
}

#[test]
fn two_tabs_that_took_it_at_once_agree_on_what_the_store_holds_before_either_refreshes() {
    let (mut first, mut second) = (Tab::new(1, true), Tab::new(2, true));
    let (mut by_first, mut by_second) = (None, None);
    first.reads(0, &mut by_first);
    second.reads(0, &mut by_second);
    assert!(first.leads(0) && second.leads(0));
    assert!(first.lease.settles_at() >= at(250));
    first.reads(100, &mut by_second);
    second.reads(100, &mut by_second);
    assert!(!first.leads(100) && second.leads(100));
}

#[test]
fn a_leader_that_does_not_answer_is_not_waited_for() {
    let (mut frozen, mut tab) = (Tab::new(1, true), Tab::new(2, true));
    let mut stored = None;
    frozen.reads(0, &mut stored);
    tab.reads(1, &mut stored);
    tab.lease.distrust_leader(at(2_000));
    tab.reads(2_000, &mut stored);
    assert!(tab.leads(2_000));
    assert_eq!(stored.map(|stored| stored.tab), Some(TabId(2)));
}

#[test]
fn a_leader_that_reads_its_own_lease_writes_it_only_when_it_is_to_be_renewed() {
    let mut leader = Tab::new(1, true);
    let mut stored = None;
    leader.reads(0, &mut stored);
    let first = stored;
    leader.reads(4_999, &mut stored);
    assert_eq!(stored, first);
    leader.reads(5_000, &mut stored);
    assert_ne!(stored, first);
    leader.is_visible = false;
    leader.reads(5_001, &mut stored);
    assert_eq!(stored.map(|lease| lease.is_visible), Some(false), "others are to know that");
}
