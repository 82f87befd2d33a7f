//! What would take too long, too much memory or too much stack is refused, and told what it is.

use includes::{Refusal, Settings};

use crate::world::World;

const TOO_LONG: &str = "expanding its macros takes too long";

#[track_caller]
fn check_refused(main: &str, reason: &str) {
    check_refused_by(1_000_000, main, reason);
}

#[track_caller]
fn check_refused_by(expansion_limit: u64, main: &str, reason: &str) {
    let settings = Settings {
        expansion_limit,
        ..Settings::default()
    };
    let world = World::with_settings(&[("main.c", main)], settings);
    match world.ask("main.c").refusal() {
        Refusal::Unmodelled { what, .. } => assert_eq!(what, reason),
        other => panic!("{other}"),
    }
    // And it goes on with others.
    world.put("next.c", "");
    world.ask("next.c").files(&["next.c"]);
}

/// Macros of which each stands for two of the one before.
fn doublings(body: &str, times: usize) -> String {
    let mut text = "#define M0 1\n".to_owned();
    for at in 1..=times {
        let before = format!("M{}", at - 1);
        text += &format!("#define M{at} {}\n", body.replace('M', &before));
    }
    text
}

#[test]
fn expansions_that_double_and_double() {
    let text = doublings("M+M", 40) + "#if M40\n#endif\n";
    check_refused(&text, TOO_LONG);
    let text = doublings("(M,M)", 40) + "#define EAT(x) 1\n#if EAT(M40)\n#endif\n";
    // An argument that is not used is not expanded.
    World::new(&[("main.c", &text)])
        .ask("main.c")
        .files(&["main.c"]);
    let calls = "F(".repeat(40) + "1" + &")".repeat(40);
    let text = format!("#define F(x) x+x\n#if {calls}\n#endif\n");
    check_refused(&text, TOO_LONG);
}

#[test]
fn names_that_double_and_double() {
    let calls = "D(".repeat(60) + "a" + &")".repeat(60);
    let text = format!("#define E(x,y) x##y\n#define D(x) E(x,x)\n#if {calls}\n#endif\n");
    check_refused(&text, TOO_LONG);
    let calls = "D(".repeat(60) + "\"" + &")".repeat(60);
    let text = format!(
        "#define E(x) #x\n#define D(x) E(x x)\n#include {}\n",
        calls.replace('"', "\"a\"")
    );
    check_refused(&text, TOO_LONG);
}

#[test]
fn many_expansions_that_are_not_long_each() {
    let mut text = doublings("M+M", 13);
    for _ in 0..100 {
        text += "#if M13\n#endif\n";
    }
    check_refused(&text, TOO_LONG);
}

/// What takes longer than reading a token counts for more.
#[test]
fn expansions_that_cost_more_than_their_tokens() {
    let with_first = |first: &str, times: usize, rest: &str| {
        doublings("M M", times).replacen("#define M0 1", first, 1) + rest
    };
    let pragma = |times: usize| {
        let rest = format!("M{times}\n");
        with_first(
            "#define M0 _Pragma(\"push_macro(\\\"x\\\")\")",
            times,
            &rest,
        )
    };
    check_refused(&pragma(13), TOO_LONG);
    World::new(&[("main.c", &pragma(13))])
        .ask("main.c")
        .files(&["main.c"]);
    let paste = "#define F(x,y) x##y\n#define M0 F(x,y)";
    check_refused(&with_first(paste, 15, "#if M15\n#endif\n"), TOO_LONG);
    let question = "#define M0 __has_include(\"a.h\")";
    check_refused(&with_first(question, 15, "#if M15\n#endif\n"), TOO_LONG);
    // Each name is looked for among all those that it comes from.
    check_refused(&(doublings("M+1", 5_000) + "#if M5000\n#endif\n"), TOO_LONG);
}

#[test]
fn calls_and_conditions_within_each_other() {
    let nested = |open: &str, times: usize, close: &str| {
        format!(
            "#define F(x) x\n#if {}1{}\n#include \"a.h\"\n#endif\n",
            open.repeat(times),
            close.repeat(times)
        )
    };
    let cases = [
        ("F(", ")", 150, "macro calls are nested too deeply"),
        ("(", ")", 200, "a condition is nested too deeply"),
        ("!", "", 200, "a condition is nested too deeply"),
        ("1 ? 1 : ", "", 200, "a condition is nested too deeply"),
        ("0 ? ", " : 1", 100, "a condition is nested too deeply"),
    ];
    for (open, close, modest, reason) in cases {
        let world = World::new(&[("main.c", &nested(open, modest, close)), ("a.h", "")]);
        world.ask("main.c").files(&["main.c", "a.h"]);
        check_refused_by(10_000_000, &nested(open, 1_000, close), reason);
    }
}

/// Memory would grow with the square of such files, or be doubled by each conditional.
#[test]
fn parentheses_that_stay_open() {
    let maker = "#define P(x) _Pragma(\"once\")\n";
    let in_arguments = "a pragma in a macro's arguments that hold directives";
    let too_many = "a pragma in parentheses that are too many";
    check_refused(&(maker.to_owned() + &"P(".repeat(300_000)), in_arguments);
    let names = |from: usize, to: usize| -> String {
        (from..to).map(|at| format!("F{at}(P(1)\n")).collect()
    };
    // None of these is a macro, and all are open.
    World::new(&[("main.c", &(maker.to_owned() + &names(0, 1_000)))])
        .ask("main.c")
        .files(&["main.c"]);
    check_refused(&(maker.to_owned() + &names(0, 100_000)), too_many);
    // Once too many are open, no later call is taken for one that stands alone.
    let later = ")".repeat(100_000) + "\n#ident\nP(1)\n";
    let text = format!("{maker}#if 0\n{}#endif\n{later}", names(0, 100_000));
    check_refused(&text, too_many);
    let conditionals = "#ifdef X\n#else\n#endif\n".repeat(10_000);
    let text = format!("{maker}F(\n{conditionals}P(1))\n");
    World::new(&[("main.c", &text)])
        .ask("main.c")
        .files(&["main.c"]);
    let text = format!("{maker}{}\n{conditionals}P(1)\n", "F(".repeat(10_000));
    check_refused(&text, too_many);
    let nested = "#ifndef X\n".repeat(100_000) + "P(1)\n" + &"#endif\n".repeat(100_000);
    let text = format!("{maker}{}\n{nested}", "F(".repeat(1_000));
    check_refused(&text, too_many);
}

#[test]
fn many_calls_side_by_side() {
    let text = "#define P(x) _Pragma(\"STDC\")\n#define Q(x) _Pragma(x)\n".to_owned()
        + &"P(1) F(1) Q(\"STDC\") ".repeat(100_000);
    World::new(&[("main.c", &text)])
        .ask("main.c")
        .files(&["main.c"]);
}
