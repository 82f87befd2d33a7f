//! In a session of `pump`, whose include server ends: the next one is asked, and where none comes, compiles run here.
#![allow(clippy::unwrap_used, reason = "what a test unwraps it also checks")]

mod support;

use std::io::{BufReader, Write};
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use protocol::include::encode_answer;
use protocol::jobs::{Answer, Done, Question};
use protocol::request::Limits;
use protocol::{Version, lzo, stream};
use support::{FakeServer, HELLO, Outcome, Place, read_request, run, success};

const NOBODY_COMES: &str = "here 0 0 0 the include server has ended\n";

/// Ends so many times, and then answers. Tells of each question.
fn serve(
    place: &Place,
    socket: &str,
    deaths: usize,
    answer: impl Fn(&mut dyn std::io::Read) -> Vec<u8> + Send + 'static,
) -> mpsc::Receiver<()> {
    let listener = UnixListener::bind(place.path(socket)).unwrap();
    let (sender, questions) = mpsc::channel();
    thread::spawn(move || {
        for (nth, connection) in listener.incoming().enumerate() {
            let mut connection = connection.unwrap();
            let answer = answer(&mut BufReader::new(&connection));
            sender.send(()).unwrap();
            if nth >= deaths {
                connection.write_all(&answer).unwrap();
            }
        }
    });
    questions
}

fn include_server(place: &Place, socket: &str, deaths: usize) -> mpsc::Receiver<()> {
    let root = place.path("root/of/three");
    let copy = place.path("root/of/three/w/a.c.lzo");
    place.write("root/of/three/w/a.c.lzo", lzo::compress(HELLO.as_bytes()));
    assert!(copy.starts_with(root));
    serve(place, socket, deaths, move |question| {
        stream::read_query(&mut { question }, Limits::default()).unwrap();
        encode_answer(&[copy.clone().into_os_string()])
    })
}

fn agent(place: &Place, deaths: usize) -> mpsc::Receiver<()> {
    serve(place, "socket.jobs", deaths, |question| {
        let limits = Limits {
            args: 100_000,
            ..Limits::default()
        };
        let question = Question::read(&mut { question }, limits).unwrap();
        assert_eq!(question.query.argv[0], "gcc");
        let done = Done {
            host: "far".into(),
            output: "a.o".into(),
            files: vec![("a.o".into(), b"OBJECT".to_vec())],
            ..Done::default()
        };
        Answer::Done(done).encode()
    })
}

/// A place with a session: `pump` has made the file for records.
fn session() -> Place {
    let place = Place::new();
    place.write("commands", "");
    place
}

fn distcc(place: &Place, hosts: &str) -> Command {
    let mut distcc = place.distcc(hosts, "gcc -g -c a.c");
    distcc
        .env("INCLUDE_SERVER_PORT", place.path("socket"))
        .env("DISTCC_NO_REWRITE_CROSS", "");
    distcc
}

/// A server that makes an object of anything, and tells in which protocol it was asked.
fn server() -> (FakeServer, mpsc::Receiver<Version>) {
    let (sender, versions) = mpsc::channel();
    let server = FakeServer::start(move |mut connection| {
        let request = read_request(&mut connection).unwrap();
        let version = request.head.version;
        connection.write_all(&success(version, b"OBJECT")).unwrap();
        sender.send(version).unwrap();
    });
    (server, versions)
}

/// The object is this machine's compiler's, and the session knows why.
fn assert_here(place: &Place, server: &FakeServer, outcome: &Outcome) {
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(server.connections(), 0);
    let object = place.read("a.o");
    place.local("gcc -g -c a.c").assert(0, &[]);
    assert_eq!(object, place.read("a.o"));
    assert_eq!(place.text("commands"), NOBODY_COMES);
}

#[test]
fn where_nobody_comes_compiles_run_here() {
    let (place, (server, _)) = (session(), server());
    let host = format!("{},cpp,lzo", server.host());
    let missing = format!(
        "distcc[*] ERROR: failed to connect to UNIX-DOMAIN {}: No such file or directory",
        place.path("socket").display()
    );
    let outcome = run(&mut distcc(&place, &host));
    assert_here(&place, &server, &outcome);
    let here =
        format!("distcc[*] Warning: failed to distribute a.c to {host}, running locally instead");
    outcome.assert(0, &[&missing, &here]);
    assert!(!place.is_backed_off(server.port));
}

#[test]
fn who_wants_nothing_to_run_here_gets_text() {
    let (place, (server, versions)) = (session(), server());
    let mut distcc = distcc(&place, &format!("{},cpp,lzo", server.host()));
    let outcome = run(distcc.env("DISTCC_FALLBACK", "0"));
    outcome.assert_says(
        0,
        "failed to get includes from include server, preprocessing locally",
    );
    assert_eq!(versions.recv().unwrap(), Version::Lzo);
}

#[test]
fn an_include_server_that_ends_in_the_middle_has_a_successor() {
    let (place, (server, versions)) = (session(), server());
    let questions = include_server(&place, "socket", 1);
    let outcome = run(&mut distcc(&place, &format!("{},cpp,lzo", server.host())));
    outcome.assert(0, &[]);
    assert_eq!(versions.recv().unwrap(), Version::Pump);
    assert_eq!(questions.try_iter().count(), 2);
}

/// It may be the cause of that.
#[test]
fn a_compile_at_which_include_servers_end_runs_here() {
    for socket in ["socket", "socket.pieces"] {
        let (place, (server, _)) = (session(), server());
        let questions = include_server(&place, socket, usize::MAX);
        let outcome = run(&mut distcc(&place, &format!("{},cpp,lzo", server.host())));
        assert_here(&place, &server, &outcome);
        outcome.assert_says(0, "failed to talk to include server");
        assert_eq!(questions.try_iter().count(), 2);
    }
}

#[test]
fn an_agent_that_ends_in_the_middle_has_a_successor() {
    let (place, (server, _)) = (session(), server());
    let questions = agent(&place, 1);
    let mut distcc = distcc(&place, &server.host());
    run(distcc.env("INCLUDE_SERVER_ENGINES", server.host())).assert(0, &[]);
    assert_eq!(place.read("a.o"), b"OBJECT");
    assert_eq!(server.connections(), 0);
    assert_eq!(questions.try_iter().count(), 2);
    assert_eq!(place.text("commands"), "pump 0 0 0 far:3632\n");
}

/// It may be alive, and unable to say anything to this one question.
#[test]
fn a_compile_at_which_agents_end_is_sent_in_pump_mode() {
    let (place, (server, versions)) = (session(), server());
    let (_agents, _questions) = (
        agent(&place, usize::MAX),
        include_server(&place, "socket", 0),
    );
    let host = format!("{},cpp,lzo", server.host());
    let mut distcc = distcc(&place, &host);
    run(distcc.env("INCLUDE_SERVER_ENGINES", &host)).assert_says(0, "the agent has gone: ");
    assert_eq!(versions.recv().unwrap(), Version::Pump);
}

/// Also where there are no hosts but engines.
#[test]
fn where_no_agent_comes_the_compiles_of_engines_run_here() {
    let (place, (server, _)) = (session(), server());
    drop(UnixListener::bind(place.path("socket.jobs")).unwrap());
    let engine = format!("grpc://{}", server.host());
    let mut distcc = distcc(&place, &engine);
    let outcome = run(distcc.env("INCLUDE_SERVER_ENGINES", &engine));
    assert_here(&place, &server, &outcome);
}

/// Also where the host takes text only, and there is no pump mode to go back to.
#[test]
fn where_no_agent_comes_compiles_run_here() {
    for is_there in [true, false] {
        let (place, (server, _)) = (session(), server());
        let questions = is_there.then(|| agent(&place, usize::MAX));
        if !is_there {
            drop(UnixListener::bind(place.path("socket.jobs")).unwrap());
        }
        let mut distcc = distcc(&place, &server.host());
        let outcome = run(distcc.env("INCLUDE_SERVER_ENGINES", server.host()));
        assert_here(&place, &server, &outcome);
        outcome.assert_says(0, "the agent has gone: ");
        let host = server.host();
        let here = format!("failed to distribute a.c to {host}, running locally instead");
        outcome.assert_says(0, &here);
        let asked = questions.map_or(0, |questions| questions.try_iter().count());
        assert_eq!(asked, if is_there { 2 } else { 0 });
    }
}

/// There is no session any more after `pump --shutdown`, and none of ours below 3.4's `pump`.
#[test]
fn without_a_session_hosts_get_text_as_ever() {
    for kind in [",cpp,lzo", ""] {
        let (place, (server, versions)) = (Place::new(), server());
        for socket in ["socket", "socket.jobs"] {
            drop(UnixListener::bind(place.path(socket)).unwrap());
        }
        let host = format!("{}{kind}", server.host());
        let mut distcc = distcc(&place, &host);
        let outcome = run(distcc.env("INCLUDE_SERVER_ENGINES", &host));
        assert_eq!(outcome.code, 0, "{outcome:?}");
        assert_ne!(versions.recv().unwrap(), Version::Pump);
    }
}

#[test]
fn compiles_that_run_here_keep_to_the_slots_of_this_machine() {
    let (place, (server, _)) = (session(), server());
    // Two at a time would meet.
    place.script("bin/gcc", "mkdir one || exit 1; sleep 0.1; rmdir one");
    let hosts = format!("--localslots=1 {}/9,cpp,lzo", server.host());
    let start = |_| -> Child {
        let path = format!("{}:/usr/bin:/bin", place.path("bin").display());
        let mut distcc = distcc(&place, &hosts);
        distcc.env("PATH", path).stderr(Stdio::null());
        distcc.spawn().unwrap()
    };
    let clients: Vec<Child> = (0..4).map(start).collect();
    for mut client in clients {
        assert!(client.wait().unwrap().success());
    }
    assert_eq!(place.text("commands"), NOBODY_COMES.repeat(4));
}
