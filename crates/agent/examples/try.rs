use agent::actions::maker::{Called, Maker};
use std::path::PathBuf;
use std::sync::Arc;
fn main() {
    let mut args = std::env::args_os().skip(1);
    let endpoint = args.next().unwrap().into_string().unwrap();
    let argv: Vec<_> = args.collect();
    let engine = includes::Engine::new(
        Arc::new(includes::RealTree::watched().unwrap()),
        Arc::new(includes::RealCompiler::new(None)),
        includes::Settings::default(),
    );
    let maker = Maker::new(engine);
    let called = Called {
        argv,
        environment: std::env::vars_os().collect(),
        cwd: std::env::current_dir().unwrap(),
        in_colour: false,
    };
    let t = std::time::Instant::now();
    let made = maker.make(&called).unwrap();
    eprintln!(
        "made {:?}: {} blobs, {:?}",
        t.elapsed(),
        made.order.blobs.len(),
        made.outputs
    );
    let t = std::time::Instant::now();
    let made = maker.make(&called).unwrap();
    eprintln!("again {:?}", t.elapsed());
    let rt = tokio::runtime::Runtime::new().unwrap();
    let out = rt.block_on(async {
        let server = remote::Server::connect(&remote::Endpoint::parse(&endpoint).unwrap())
            .await
            .unwrap();
        server.run(&made.order).await
    });
    eprintln!("ran {:?}", t.elapsed());
    match out {
        Ok(out) => {
            eprintln!(
                "exit {} cached {} stdout {} stderr {}",
                out.exit_code,
                out.cached,
                String::from_utf8_lossy(&out.stdout),
                String::from_utf8_lossy(&out.stderr)
            );
            for file in out.files {
                let to = PathBuf::from(
                    std::str::from_utf8(&made.outputs[&file.path])
                        .unwrap()
                        .to_owned()
                        + ".remote",
                );
                eprintln!("{} {} -> {to:?}", file.path, file.content.len());
                std::fs::write(to, file.content).unwrap();
            }
        }
        Err(t) => eprintln!("trouble: {t}"),
    }
}
