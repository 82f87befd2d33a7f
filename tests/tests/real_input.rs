//! A real project, through our programs from end to end: Lua, on two servers.
//!
//! `corpus` does the same with larger ones.

use end_to_end::project::Project;

#[test]
fn lua_is_built_by_the_servers_and_runs() {
    let lua = Project {
        name: "lua5.4",
        make: &["-C", "src", "all", "SYSCFLAGS=-DLUA_USE_LINUX"],
        probes: &[],
    };
    let built = lua.build_pumped();
    assert!(built.output.contains("Using 2 distcc servers in pump mode"));
    let program = "local t = {} for i = 1, 10 do t[i] = i * i end print(table.concat(t, ' '))";
    assert_eq!(
        built.run("src/lua", &["-e", program]),
        "1 4 9 16 25 36 49 64 81 100\n"
    );
}
