//! Servers in memory, and a clock that goes on only when all wait.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use super::host::Runs;
use super::listed::Place;
use super::slots::Slots;
use super::*;

/// What a server is like, now.
#[derive(Debug)]
struct Pretended {
    /// What connecting to it gives, if not a connection.
    refuses: Mutex<Option<Trouble>>,
    /// How long an action takes there; for ever if it hangs.
    takes: Mutex<Option<Duration>>,
    /// Whether it answers when it is asked.
    answers: Mutex<bool>,
    /// What actions get in place of a result.
    trouble: Mutex<Option<Trouble>>,
    asked: AtomicU32,
    ran: AtomicU32,
    at_once: AtomicU32,
    most_at_once: AtomicU32,
}

type Shared = Arc<Pretended>;

fn server(milliseconds: u64) -> Shared {
    Arc::new(Pretended {
        refuses: Mutex::default(),
        takes: Mutex::new(Some(Duration::from_millis(milliseconds))),
        answers: Mutex::new(true),
        trouble: Mutex::default(),
        asked: AtomicU32::default(),
        ran: AtomicU32::default(),
        at_once: AtomicU32::default(),
        most_at_once: AtomicU32::default(),
    })
}

fn away(said: &str) -> Option<Trouble> {
    Some(Trouble::Away(said.to_owned()))
}

impl Pretended {
    fn ran(&self) -> u32 {
        self.ran.load(Ordering::SeqCst)
    }

    fn hang(&self) {
        *self.takes.lock().unwrap() = None;
    }
}

impl Reach for Shared {
    type Server = Shared;

    async fn connect(&self) -> Result<Shared, Trouble> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        match &*self.refuses.lock().unwrap() {
            Some(trouble) => Err(trouble.clone()),
            None => Ok(Arc::clone(self)),
        }
    }
}

/// One job, until it ends or is given up.
struct Job<'p>(&'p Pretended);

impl Drop for Job<'_> {
    fn drop(&mut self) {
        self.0.at_once.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Runs for Shared {
    async fn run(&self, _: &Order) -> Result<Outcome, Trouble> {
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        let _job = Job(self);
        let takes = *self.takes.lock().unwrap();
        match takes {
            Some(takes) => tokio::time::sleep(takes).await,
            None => std::future::pending().await,
        }
        if let Some(trouble) = &*self.trouble.lock().unwrap() {
            return Err(trouble.clone());
        }
        self.ran.fetch_add(1, Ordering::SeqCst);
        Ok(Outcome {
            exit_code: 0,
            stdout: Vec::new(),
            stderr: Vec::new(),
            files: Vec::new(),
            cached: false,
            sent: 0,
            received: 0,
        })
    }

    async fn is_there(&self) -> bool {
        if !*self.answers.lock().unwrap() {
            std::future::pending().await
        }
        true
    }

    fn executes(&self) -> bool {
        true
    }
}

fn listed(name: &str, slots: u32, place: Place<Shared>) -> Listed<Shared> {
    Listed {
        name: name.to_owned(),
        slots: Slots::new(slots, None),
        place,
    }
}

/// Servers called `a`, `b` and so on, with so many slots each.
fn placement(servers: &[(&Shared, u32)]) -> Placement<Shared> {
    let names = ('a'..).map(|name| name.to_string());
    Placement::new(
        names.zip(servers).map(|(name, (server, slots))| {
            listed(&name, *slots, Place::Server(Arc::clone(server)))
        }),
    )
}

fn order() -> Order {
    struct Nothing;
    impl remote::Contents for Nothing {
        fn content(&self, _: &action::Digest) -> std::io::Result<remote::Content> {
            unreachable!("nothing is sent to a server in memory")
        }
    }
    Order {
        action: action::Digest::of(b""),
        blobs: Arc::default(),
        outputs: Arc::default(),
        cached: true,
        contents: Arc::new(Nothing),
    }
}

async fn run(placement: &Placement<Shared>) -> Result<String, NotRun> {
    placement.prospect().await?;
    placement
        .run(&order(), &placement.job(None))
        .await
        .map(|(host, _)| host)
}

/// Runs so many actions, `at_once` at a time, and counts where.
async fn build(
    placement: &Arc<Placement<Shared>>,
    count: u32,
    at_once: u32,
) -> BTreeMap<String, u32> {
    let (mut ran, left) = (BTreeMap::new(), Arc::new(AtomicU32::new(count)));
    let mut makes = tokio::task::JoinSet::new();
    for _ in 0..at_once {
        let (placement, left) = (Arc::clone(placement), Arc::clone(&left));
        makes.spawn(async move {
            let mut hosts = Vec::new();
            let one = |left| u32::checked_sub(left, 1);
            while left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one)
                .is_ok()
            {
                hosts.push(
                    run(&placement)
                        .await
                        .unwrap_or_else(|why| format!("{why:?}")),
                );
            }
            hosts
        });
    }
    for host in makes.join_all().await.concat() {
        *ran.entry(host).or_default() += 1;
    }
    ran
}

fn counted(counts: &[(&str, u32)]) -> BTreeMap<String, u32> {
    counts
        .iter()
        .map(|&(name, count)| (name.to_owned(), count))
        .collect()
}

fn pass(why: &str) -> Result<String, NotRun> {
    Err(NotRun::Pass(why.to_owned()))
}

#[tokio::test(start_paused = true)]
async fn the_server_with_the_smallest_part_taken_is_next_and_the_first_in_the_list() {
    let (a, b) = (server(100), server(100));
    let placement = placement(&[(&a, 2), (&b, 4)]);
    placement.prospect().await.unwrap();
    let mut taken = Vec::new();
    while let Choice::Take(next) = placement.choose(Instant::now(), None) {
        taken.push(next);
    }
    let names: String = taken.iter().map(|taken| &*taken.host.name).collect();
    // The second one has said that it runs actions by then, too.
    assert_eq!(names, "abbabb");
    assert!(matches!(
        placement.choose(Instant::now(), None),
        Choice::Full(_)
    ));
    drop(taken);
    assert_eq!(run(&placement).await.unwrap(), "a");
}

#[tokio::test(start_paused = true)]
async fn limits_of_the_list_are_kept_and_who_waits_gets_the_next_place() {
    let (a, b) = (server(100), server(100));
    let placement = Arc::new(placement(&[(&a, 1), (&b, 3)]));
    let ran = build(&placement, 40, 16).await;
    assert_eq!(ran, counted(&[("a", 10), ("b", 30)]));
    let most = [&a, &b].map(|server| server.most_at_once.load(Ordering::SeqCst));
    assert_eq!(most, [1, 3]);
}

#[tokio::test(start_paused = true)]
async fn slow_servers_get_less() {
    let (quick, slow) = (server(100), server(1000));
    let placement = Arc::new(placement(&[(&slow, 4), (&quick, 4)]));
    let began = Instant::now();
    build(&placement, 400, 8).await;
    // The quick one alone would take 10 s; places alike, they would take 400 / (40 + 4) = 9.1 s.
    let took = began.elapsed();
    assert!(took < Duration::from_millis(10_500), "{took:?}");
    assert!(quick.ran() > 350, "{}", quick.ran());
    // It may be quick one day.
    *slow.takes.lock().unwrap() = Some(Duration::from_millis(100));
    build(&placement, 400, 8).await;
    let before = slow.ran();
    build(&placement, 400, 8).await;
    assert!(slow.ran() - before > 150, "{}", slow.ran() - before);
}

#[tokio::test(start_paused = true)]
async fn who_is_away_is_asked_again_and_used_when_it_is_back() {
    let (a, b) = (server(10), server(10));
    let placement = placement(&[(&a, 1), (&b, 1)]);
    assert_eq!(run(&placement).await.unwrap(), "a");
    *a.trouble.lock().unwrap() = away("x");
    *a.refuses.lock().unwrap() = away("x");
    assert_eq!(run(&placement).await.unwrap(), "b");
    for _ in 0..10 {
        assert_eq!(run(&placement).await.unwrap(), "b");
    }
    // After 1 s and 2 s more it is asked in vain.
    for second in 0..10 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(run(&placement).await.unwrap(), "b");
        tokio::task::yield_now().await;
        let asked = [2, 2, 3, 3, 3, 3, 4, 4, 4, 4][second];
        assert_eq!(a.asked.load(Ordering::SeqCst), asked, "{second}");
    }
    *a.trouble.lock().unwrap() = None;
    *a.refuses.lock().unwrap() = None;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(run(&placement).await.unwrap(), "b");
    tokio::task::yield_now().await;
    assert_eq!(run(&placement).await.unwrap(), "a");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_server_of_actions_is_asked_once_and_left_to_clients() {
    let stock = server(10);
    *stock.refuses.lock().unwrap() = Some(Trouble::Foreign("closed".into()));
    let placement = Arc::new(placement(&[(&stock, 4)]));
    let expected = "a: does not speak the Remote Execution API: closed";
    for _ in 0..3 {
        assert_eq!(run(&placement).await, pass(expected));
        tokio::time::sleep(Duration::from_secs(100)).await;
    }
    assert_eq!(stock.asked.load(Ordering::SeqCst), 1);
    placement.until_for_clients().await;
}

#[tokio::test(start_paused = true)]
async fn clients_own_hosts_get_what_servers_have_no_room_for() {
    let (ours, stock) = (server(1000), server(10));
    *stock.refuses.lock().unwrap() = Some(Trouble::Foreign("closed".into()));
    let placement = Placement::new([
        listed("localhost", 1, Place::Clients),
        listed("a", 1, Place::Server(Arc::clone(&ours))),
        listed("b", 1, Place::Server(Arc::clone(&stock))),
    ]);
    // It is asked by then.
    assert_eq!(run(&placement).await.unwrap(), "a");
    let (one, other) = tokio::join!(run(&placement), run(&placement));
    assert_eq!(one.unwrap(), "a");
    assert_eq!(other, pass("localhost has time for it"));
    // Clients have taken all of theirs.
    for host in [0, 2] {
        placement.hosts[host].slots.take();
    }
    let (one, other) = tokio::join!(run(&placement), run(&placement));
    assert_eq!([one.unwrap(), other.unwrap()], ["a", "a"]);
}

#[tokio::test(start_paused = true)]
async fn servers_that_do_not_say_what_they_are_keep_nobody_waiting() {
    struct Silent;
    impl Reach for Silent {
        type Server = Shared;
        async fn connect(&self) -> Result<Shared, Trouble> {
            std::future::pending().await
        }
    }
    let placement = Placement::new([Listed {
        name: "a".to_owned(),
        slots: Slots::new(4, None),
        place: Place::Server(Silent),
    }]);
    let began = Instant::now();
    for _ in 0..3 {
        let why = placement.prospect().await.unwrap_err();
        let expected = "no server has said yet that it runs actions";
        assert_eq!(why, NotRun::Pass(expected.to_owned()));
    }
    // All three together.
    assert_eq!(began.elapsed(), FIRST);
}

/// What clients that go on by themselves find of a host that takes connections and says nothing at first.
#[tokio::test(start_paused = true)]
async fn clients_leave_silent_hosts_alone_until_they_answer() {
    /// It answers when it is called.
    struct Stopped(Arc<Notify>, Result<Shared, Trouble>);
    impl Reach for Stopped {
        type Server = Shared;
        async fn connect(&self) -> Result<Shared, Trouble> {
            self.0.notified().await;
            self.1.clone()
        }
    }
    let stock = || Err(Trouble::Foreign("closed".into()));
    for (answer, may_fall_back) in [
        (stock(), true),
        (Ok(server(10)), true),
        (stock(), false),
        (Err(Trouble::Away("refused".into())), true),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let state = statedir::StateDir::new(dir.path().to_owned());
        let key = statedir::HostKey::tcp("a".as_ref(), 1);
        let is_spared = || {
            let minute = Duration::from_secs(60);
            state.in_backoff(&key, minute, std::time::SystemTime::now())
        };
        let answers = Arc::new(Notify::new());
        let is_away = matches!(answer, Err(Trouble::Away(_)));
        let mut placement = Placement::new([Listed {
            name: "a".to_owned(),
            slots: Slots::new(4, Some((state.clone(), key.clone()))),
            place: Place::Server(Stopped(Arc::clone(&answers), answer)),
        }]);
        placement.may_fall_back = may_fall_back;
        placement.prospect().await.unwrap_err();
        assert_eq!(is_spared(), may_fall_back);
        // The mark ages; that of a host which is still silent is made again.
        state.clear_backoff(&key).unwrap();
        tokio::time::sleep(Duration::from_secs(30)).await;
        placement.prospect().await.unwrap_err();
        assert_eq!(is_spared(), may_fall_back);
        answers.notify_one();
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(is_spared(), is_away);
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_too_much_to_do_is_left_alone_but_not_waited_for_for_ever() {
    let (a, b) = (server(10), server(10));
    let placement = placement(&[(&a, 1), (&b, 1)]);
    let busy = |seconds| Trouble::Busy {
        said: "full".to_owned(),
        again: Some(Duration::from_secs(seconds)),
    };
    *a.trouble.lock().unwrap() = Some(busy(20));
    for _ in 0..5 {
        assert_eq!(run(&placement).await.unwrap(), "b");
    }
    *b.trouble.lock().unwrap() = Some(busy(5));
    let began = Instant::now();
    let Err(NotRun::Away(why)) = run(&placement).await else {
        panic!("both are busy");
    };
    assert!(why.ends_with(": overloaded: full"), "{why}");
    let took = began.elapsed();
    assert!((ENOUGH..ENOUGH + LONGEST_PAUSE).contains(&took), "{took:?}");
}

/// No server is left alone for longer because it is busy.
const LONGEST_PAUSE: Duration = Duration::from_secs(31);

#[tokio::test(start_paused = true)]
async fn a_straggler_is_sent_to_another_server_and_the_first_result_counts() {
    let (a, b) = (server(100), server(100));
    let placement = Arc::new(placement(&[(&a, 2), (&b, 2)]));
    build(&placement, 40, 4).await;
    a.hang();
    let began = Instant::now();
    // It says that it is there, as one does that swaps.
    assert_eq!(run(&placement).await.unwrap(), "b");
    let took = began.elapsed();
    assert!(took >= LATE.0 && took < LATE.0 + ANSWER, "{took:?}");
    assert_eq!(a.at_once.load(Ordering::SeqCst), 0, "it was given up");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_any_more_is_given_up() {
    let a = server(100);
    let placement = Arc::new(placement(&[(&a, 8)]));
    build(&placement, 40, 8).await;
    a.hang();
    *a.answers.lock().unwrap() = false;
    *a.refuses.lock().unwrap() = away("it still does not");
    let began = Instant::now();
    let said = "a: not reachable: it says nothing any more";
    let ran = build(&placement, 8, 8).await;
    assert_eq!(
        ran,
        counted(&[(&*format!("{:?}", pass(said).unwrap_err()), 8)])
    );
    assert_eq!(began.elapsed(), LATE.0 + ANSWER);
}

#[tokio::test(start_paused = true)]
async fn a_long_compile_on_the_only_server_is_waited_for() {
    let a = server(100);
    let placement = Arc::new(placement(&[(&a, 8)]));
    build(&placement, 40, 8).await;
    *a.takes.lock().unwrap() = Some(Duration::from_secs(300));
    assert_eq!(run(&placement).await.unwrap(), "a");
    assert_eq!(a.ran(), 41);
}

#[tokio::test(start_paused = true)]
async fn engines_that_are_away_are_told_of() {
    let (a, b) = (server(10), server(10));
    for server in [&a, &b] {
        *server.refuses.lock().unwrap() = away("refused");
    }
    let placement = Placement::new([
        listed("grpc://a:1", 1, Place::Engine(Arc::clone(&a))),
        listed("b", 1, Place::Server(Arc::clone(&b))),
    ]);
    let said = "grpc://a:1: not reachable: refused".to_owned();
    assert_eq!(run(&placement).await, Err(NotRun::Away(said)));
}

#[tokio::test(start_paused = true)]
async fn what_a_server_refuses_is_no_fault_of_its() {
    let a = server(10);
    let placement = placement(&[(&a, 1)]);
    *a.trouble.lock().unwrap() = Some(Trouble::Refused("no such root".into()));
    let said = "a: refused: no such root".to_owned();
    assert_eq!(run(&placement).await, Err(NotRun::Away(said)));
    *a.trouble.lock().unwrap() = None;
    assert_eq!(run(&placement).await.unwrap(), "a");
}

/// What becomes of a compile where this machine has so many processors: when it is begun here, too, and where it ends.
async fn raced(placement: &Placement<Shared>, takes_here: Duration) -> (Option<Duration>, String) {
    let (began, job, order) = (Instant::now(), placement.job(None), order());
    let mut running = pin!(placement.run(&order, &job));
    let racing = tokio::select! {
        ran = &mut running => return (None, ran.unwrap().0),
        racing = placement.race(&job) => racing,
    };
    let begun = began.elapsed();
    let host = tokio::select! {
        ran = running => ran.unwrap().0,
        () = tokio::time::sleep(takes_here) => "here".to_owned(),
    };
    drop(racing);
    (Some(begun), host)
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn what_takes_long_at_the_end_of_a_build_is_begun_here_too() {
    for (usual, takes, due) in [(100, None, 1000), (100, Some(5), 1000), (800, None, 1600)] {
        let a = server(usual);
        let mut placement = placement(&[(&a, 2)]);
        placement.here = Here::with(Slots::new(2, None), 2);
        let placement = Arc::new(placement);
        build(&placement, 40, 2).await;
        let (begun, host) = raced(&placement, SECOND).await;
        assert_eq!((begun, &*host), (None, "a"), "as usual");
        *a.takes.lock().unwrap() = takes.map(Duration::from_secs);
        let (begun, host) = raced(&placement, SECOND).await;
        // Times are whole milliseconds here.
        let begun = begun.unwrap().as_millis();
        assert!(begun.abs_diff(due) < 5, "{begun}, not {due}");
        assert_eq!(host, "here");
        assert_eq!(a.at_once.load(Ordering::SeqCst), 0, "it was given up");
        if takes.is_some() {
            assert_eq!(raced(&placement, 5 * SECOND).await.1, "a");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn in_the_middle_of_a_build_only_stragglers_are_begun_here() {
    let a = server(100);
    let mut placement = placement(&[(&a, 8)]);
    placement.here = Here::with(Slots::new(4, None), 2);
    let placement = Arc::new(placement);
    build(&placement, 40, 8).await;
    a.hang();
    let others: Vec<_> = (0..2).map(|_| placement.job(None)).collect();
    let (begun, _) = raced(&placement, SECOND).await;
    assert!(begun.unwrap().abs_diff(LATE.0) < LOOK_HERE.1, "{begun:?}");
    drop(others);
    // No more of them than processors.
    let all = [(); 3].map(|()| raced(&placement, 2 * SECOND));
    let [one, two, three] = all;
    let (one, two, three) = tokio::join!(one, two, three);
    let mut begun = [one, two, three].map(|(begun, _)| begun.unwrap());
    begun.sort();
    assert!(begun[1].abs_diff(LATE.0) < 2 * LOOK_HERE.1, "{begun:?}");
    assert!(begun[2] >= LATE.0 + 2 * SECOND, "{begun:?}");
}

/// At first nothing is usual: a compiler is sent, say, over a slow line.
#[tokio::test(start_paused = true)]
async fn the_first_compiles_are_begun_here_after_a_second() {
    let a = server(60_000);
    let placement = placement(&[(&a, 8)]);
    placement.prospect().await.unwrap();
    let (begun, host) = raced(&placement, SECOND).await;
    assert_eq!((begun.unwrap().as_secs(), &*host), (1, "here"));
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_place_or_for_a_local_slot_is_not_begun_here() {
    let a = server(900);
    let mut placement = placement(&[(&a, 1)]);
    placement.here = Here::with(Slots::new(1, None), 8);
    placement.prospect().await.unwrap();
    let all = [(); 4].map(|()| raced(&placement, SECOND));
    let [one, two, three, four] = all;
    let all = tokio::join!(one, two, three, four);
    let expected = (None, "a".to_owned());
    assert_eq!(
        all,
        (
            expected.clone(),
            expected.clone(),
            expected.clone(),
            expected
        )
    );
    // Others have it.
    let slot = placement.here.slots().take().unwrap();
    a.hang();
    let free = async {
        tokio::time::sleep(20 * SECOND).await;
        placement.here.slots().give_back(slot);
        std::future::pending::<()>().await;
    };
    let (begun, _) = tokio::select! {
        raced = raced(&placement, SECOND) => raced,
        () = free => unreachable!("it waits for ever"),
    };
    assert!(
        begun.unwrap().abs_diff(20 * SECOND) < 2 * LOOK_HERE.1,
        "{begun:?}"
    );
}

/// A client whose compiler takes so long.
struct Compiles {
    takes: Duration,
    begun: Option<Instant>,
    /// It does so, and waits on.
    fails: bool,
    failed: bool,
    /// Told of its end.
    ended: Arc<Notify>,
}

impl Client for Compiles {
    async fn begin(&mut self) -> bool {
        assert!(self.begun.is_none(), "twice");
        self.begun = Some(Instant::now());
        true
    }

    async fn end(&mut self) -> End {
        match self.begun {
            Some(_) if self.failed => std::future::pending().await,
            Some(begun) => tokio::time::sleep_until(begun + self.takes).await,
            None => std::future::pending().await,
        }
        if self.fails {
            self.failed = true;
            return End::Failed;
        }
        self.ended.notify_one();
        End::Done
    }
}

/// A build of so many compiles that take so many milliseconds here, where there are two processors: how long it takes, and
/// how many were begun here.
async fn build_by_both(
    placement: &Arc<Placement<Shared>>,
    count: u32,
    at_once: u32,
    takes: u64,
) -> (Duration, u32) {
    let (began, left) = (Instant::now(), Arc::new(AtomicU32::new(count)));
    let mut makes = tokio::task::JoinSet::new();
    for _ in 0..at_once {
        let (placement, left) = (Arc::clone(placement), Arc::clone(&left));
        makes.spawn(async move {
            let mut here = 0;
            let one = |left| u32::checked_sub(left, 1);
            while left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one)
                .is_ok()
            {
                let ended = Arc::new(Notify::new());
                let mut client = Compiles {
                    takes: Duration::from_millis(takes),
                    begun: None,
                    fails: false,
                    failed: false,
                    ended: Arc::clone(&ended),
                };
                placement.prospect().await.unwrap();
                let placement = Arc::clone(&placement);
                let compiled = tokio::spawn(async move {
                    let ran = placement.compile(&order(), &mut client, true).await;
                    assert!(ran.is_none_or(|ran| ran.is_ok()));
                    client.begun.is_some()
                });
                // As soon as the client has it, make goes on.
                here += tokio::select! {
                    begun = compiled => u32::from(begun.unwrap()),
                    () = ended.notified() => 1,
                };
            }
            (Instant::now(), here)
        });
    }
    let makes = makes.join_all().await;
    let here = makes.iter().map(|&(_, here)| here).sum();
    let ended = makes.iter().map(|&(ended, _)| ended).max();
    (ended.unwrap() - began, here)
}

fn with_two_processors(servers: &[(&Shared, u32)]) -> Arc<Placement<Shared>> {
    let mut placement = placement(servers);
    placement.here = Here::with(Slots::new(4, None), 2);
    Arc::new(placement)
}

#[tokio::test(start_paused = true)]
async fn where_servers_are_no_help_a_build_takes_no_longer_than_here() {
    // As many compiles at once as make wants; 200 of 100 ms take two processors 10 s. To find out takes up to 3 s.
    for (at_once, slots, server_takes, most) in [
        (2, 4, 1000, 13_000),
        (2, 4, 60_000, 13_000),
        (1, 4, 160, 21_500),
        // Here, and what is left over there.
        (8, 8, 400, 6_500),
        (8, 8, 10_000, 12_500),
    ] {
        let a = server(server_takes);
        let placement = with_two_processors(&[(&a, slots)]);
        let (took, _) = build_by_both(&placement, 200, at_once, 100).await;
        let took = took.as_millis();
        assert!(took < most, "{at_once} at once, {server_takes} ms: {took}");
    }
}

#[tokio::test(start_paused = true)]
async fn servers_that_are_about_as_fast_get_all_and_are_seldom_measured() {
    for takes in [50, 100, 140] {
        let a = server(takes);
        let placement = with_two_processors(&[(&a, 8)]);
        let (took, here) = build_by_both(&placement, 1000, 8, 100).await;
        let alone = Duration::from_millis(takes) * 1000 / 8;
        assert!(took <= alone, "{took:?} for {alone:?}");
        assert!((5..10).contains(&here), "{takes} ms: {here}");
    }
}

#[tokio::test(start_paused = true)]
async fn servers_that_become_faster_are_noticed() {
    let a = server(5000);
    let placement = with_two_processors(&[(&a, 8)]);
    build_by_both(&placement, 100, 2, 100).await;
    *a.takes.lock().unwrap() = Some(Duration::from_millis(50));
    let (_, here) = build_by_both(&placement, 100, 2, 100).await;
    assert!(here < 10, "{here}");
    // And slower again.
    *a.takes.lock().unwrap() = Some(Duration::from_millis(5000));
    let (took, here) = build_by_both(&placement, 100, 2, 100).await;
    assert!(here > 80, "{here}");
    assert!(took < Duration::from_secs(16), "{took:?}");
}

/// A build that may not run anything here, or has no slot for it.
#[tokio::test(start_paused = true)]
async fn nothing_begins_here_without_leave_and_place() {
    let a = server(1000);
    let placement = with_two_processors(&[(&a, 8)]);
    let slots: Vec<_> = (0..4).map(|_| placement.here.slots().take()).collect();
    assert!(slots.iter().all(Option::is_some));
    assert_eq!(build_by_both(&placement, 20, 2, 10).await.1, 0);
    let mut client = Compiles {
        takes: SECOND,
        begun: None,
        fails: false,
        failed: false,
        ended: Arc::default(),
    };
    *a.takes.lock().unwrap() = Some(60 * SECOND);
    for number in 0..4 {
        placement.here.slots().give_back(number);
    }
    for _ in 0..10 {
        let ran = placement.compile(&order(), &mut client, false).await;
        assert_eq!(ran.unwrap().unwrap().0, "a");
    }
    assert!(client.begun.is_none());
}

/// Nobody waits for what is not made any more, nor is its place kept.
#[tokio::test(start_paused = true)]
async fn what_fails_here_goes_to_a_server_at_once() {
    let a = server(5000);
    let placement = with_two_processors(&[(&a, 8)]);
    build_by_both(&placement, 100, 2, 100).await; // This machine is ahead now.
    *a.takes.lock().unwrap() = Some(Duration::from_millis(300));
    for _ in 0..20 {
        let mut client = Compiles {
            takes: Duration::from_millis(100),
            begun: None,
            fails: true,
            failed: false,
            ended: Arc::default(),
        };
        let began = Instant::now();
        let ran = placement.compile(&order(), &mut client, true).await;
        assert_eq!(ran.unwrap().unwrap().0, "a");
        assert!(client.failed);
        let took = began.elapsed().as_millis();
        assert!((300..=410).contains(&took), "{took}");
        let places = [(); 2].map(|()| placement.here.place());
        assert!(places.iter().all(Option::is_some));
    }
}

/// While others have all places of one server, another that was busy is there again.
#[tokio::test(start_paused = true)]
async fn a_server_that_has_time_again_is_asked_though_all_others_are_full() {
    let (a, b) = (server(30_000), server(10));
    let placement = Arc::new(placement(&[(&a, 1), (&b, 1)]));
    *b.trouble.lock().unwrap() = Some(Trouble::Busy {
        said: "full".to_owned(),
        again: Some(Duration::from_secs(5)),
    });
    let first = Arc::clone(&placement);
    let first = tokio::spawn(async move { run(&first).await });
    tokio::time::sleep(SECOND / 10).await;
    let second = Arc::clone(&placement);
    let began = Instant::now();
    let second = tokio::spawn(async move { run(&second).await });
    tokio::time::sleep(SECOND).await;
    *b.trouble.lock().unwrap() = None;
    assert_eq!(second.await.unwrap().unwrap(), "b");
    let took = began.elapsed();
    assert!((5 * SECOND..6 * SECOND).contains(&took), "{took:?}");
    assert!(first.await.unwrap().is_ok());
}
