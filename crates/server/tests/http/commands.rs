//! The command line, as the binary that people run.

use crate::app::{PASSWORD, TestApp, person};
use serde_json::json;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

pub fn aim(data: &Path, arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_aim"))
        .args(arguments)
        .current_dir(data)
        .env_clear()
        .env("AIM_DATA__DIR", data)
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads nothing may be gone by now.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
pub fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[tokio::test]
async fn what_is_set_at_the_terminal_reaches_a_running_server() {
    let app = TestApp::lifted().await;
    let mara = app.person("mara").await;
    app.get("/api/admin/ai/usage").by(&mara).send().await.problem(403, "forbidden");
    let set = aim(app.data.path(), &["user", "set", "mara", "--tier", "premium", "--role", "admin"], &[], "");
    assert!(done(&set).contains("premium"));
    let follows = async {
        while app.get("/api/admin/ai/usage").by(&mara).send().await.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(2), follows).await.unwrap();

    let create = ["user", "create", "finn", "--email", "finn@example.test", "--password-stdin"];
    done(&aim(app.data.path(), &create, &[], &format!("{PASSWORD}\n")));
    let finn = person(&app.login("finn", PASSWORD).await.expect(200).json());
    let again = aim(app.data.path(), &create, &[], PASSWORD);
    assert_eq!(again.status.code(), Some(1));
    assert!(
        text(&again.stderr).contains("username is taken")
            || text(&again.stderr).contains("email is already registered")
    );

    done(&aim(app.data.path(), &["user", "reset-password", "finn", "--password-stdin"], &[], "another one\n"));
    let ends = async {
        while app.get("/api/auth/me").by(&finn).send().await.status != 401 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(2), ends).await.unwrap();
    app.login("finn", PASSWORD).await.problem(401, "unauthenticated");
    app.login("finn", "another one").await.expect(200);
    assert!(done(&aim(app.data.path(), &["user", "show", "FINN"], &[], "")).contains("finn@example.test"));
    let nobody = aim(app.data.path(), &["user", "set", "nobody", "--tier", "free"], &[], "");
    assert_eq!((nobody.status.code(), text(&nobody.stderr).trim()), (Some(1), "There is no such user."));
    app.stop().await;
}

#[tokio::test]
async fn characters_come_in_from_files() {
    let app = TestApp::lifted().await;
    let mara = app.person("mara").await;
    let file = app.data.path().join("vale.json");
    let drafts = json!([{ "id": "vale", "name": "Captain Vale" }, { "name": "Second Vale", "tags": ["sea"] }]);
    std::fs::write(&file, drafts.to_string()).unwrap();
    let import = aim(app.data.path(), &["character", "import", "vale.json"], &[], "");
    assert!(done(&import).contains("Captain Vale as vale"));
    let list = app.get("/api/characters?q=vale").by(&mara).send().await.expect(200).json();
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    std::fs::write(&file, "{\"title\": 1}").unwrap();
    let bad = aim(app.data.path(), &["character", "import", "vale.json"], &[], "");
    assert_eq!(bad.status.code(), Some(1));
    assert!(text(&bad.stderr).contains("vale.json: it holds no character"), "{}", text(&bad.stderr));
    app.stop().await;
}

#[test]
fn a_bad_configuration_is_explained() {
    let data = tempfile::tempdir().unwrap();
    let bad = aim(data.path(), &["serve"], &[("AIM_HTTP__PORT", "many")], "");
    assert_eq!(bad.status.code(), Some(2));
    assert!(text(&bad.stderr).contains("AIM_HTTP__PORT: \"many\" is not a whole number"));
    std::fs::write(data.path().join("aim.toml"), "[http]\nprot = 1\n").unwrap();
    let bad = aim(data.path(), &["config"], &[], "");
    assert!(text(&bad.stderr).contains("did you mean \"port\""), "{}", text(&bad.stderr));
    std::fs::write(data.path().join("aim.toml"), "[http]\nport = 81\n").unwrap();
    let shown = done(&aim(data.path(), &["config"], &[("AIM_AI__API_KEY", "sk-1234")], ""));
    assert!(shown.contains("port = 81") && !shown.contains("sk-1234"), "{shown}");
}

#[test]
fn the_doctor_says_what_to_do() {
    let data = tempfile::tempdir().unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let base_url = format!("http://{nobody}/v1");
    let variables = [
        ("AIM_HTTP__PORT", "0"),
        ("AIM_AI__PROVIDER", "openai"),
        ("AIM_AI__MODEL", "m"),
        ("AIM_AI__BASE_URL", &base_url),
    ];
    let ill = aim(data.path(), &["doctor"], &variables, "");
    assert_eq!(ill.status.code(), Some(1));
    let told = text(&ill.stdout);
    assert!(told.contains("WRONG  model") && told.contains("AIM_AI__BASE_URL"), "{told}");
    for fine in ["ok     data folder", "ok     database", "ok     address"] {
        assert!(told.contains(fine), "{told}");
    }
    done(&aim(data.path(), &["migrate"], &[], ""));
}

#[tokio::test]
async fn commands_work_on_postgres_and_tell_no_password() {
    let (data, database) = (tempfile::tempdir().unwrap(), aim_testkit::Database::fresh().await.unwrap());
    let url = database.url().replace("aim@", "aim:hunter2@");
    let variables = [("AIM_DATABASE__URL", url.as_str()), ("AIM_HTTP__PORT", "0")];
    let run = |arguments: &[&str], input: &str| aim(data.path(), arguments, &variables, input);
    let told = done(&run(&["migrate"], ""));
    assert!(told.contains("is in this version's form") && !told.contains("hunter2"), "{told}");
    done(&run(&["user", "create", "finn", "--email", "finn@example.test", "--password-stdin"], "a long password"));
    assert!(done(&run(&["user", "show", "finn"], "")).contains("finn@example.test"));
    let told = text(&run(&["doctor"], "").stdout);
    assert!(told.contains("ok     database") && told.contains("127.0.0.1"), "{told}");
    assert!(!data.path().join("aim.db").exists());

    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = format!("postgres://aim:hunter2@{nobody}/aim");
    let variables = [("AIM_DATABASE__URL", gone.as_str()), ("AIM_HTTP__PORT", "0")];
    let ill = aim(data.path(), &["doctor"], &variables, "");
    let told = text(&ill.stdout) + &text(&ill.stderr);
    assert!(told.contains("WRONG  database") && told.contains("AIM_DATABASE__URL"), "{told}");
    assert!(told.contains(&nobody.to_string()) && !told.contains("hunter2"), "{told}");
}

#[test]
fn the_document_is_printed() {
    let data = tempfile::tempdir().unwrap();
    let printed = done(&aim(data.path(), &["openapi"], &[], ""));
    let printed: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(printed, aim_server::http::document());
}

#[tokio::test]
async fn the_queues_are_steered_from_a_terminal() {
    let (data, redis) = (tempfile::tempdir().unwrap(), aim_testkit::RedisServer::start().await.unwrap());
    let url = redis.url();
    let variables = [("AIM_REDIS__URL", url.as_str())];
    let run = |arguments: &[&str]| aim(data.path(), &[&["queue"], arguments].concat(), &variables, "");
    let add = ["add", "email", "welcome", "--data", "{\"to\": \"finn\"}", "--id", "m-1"];
    assert!(done(&run(&add)).contains("m-1 is added"));
    let again = run(&add);
    assert_eq!((again.status.code(), text(&again.stderr).contains("already")), (Some(1), true));
    done(&run(&["add", "email", "welcome", "--id", "m-2", "--delay", "600", "--attempts", "3"]));
    let list = done(&run(&["list"]));
    let row: Vec<&str> = list.lines().find(|line| line.starts_with("email")).unwrap().split_whitespace().collect();
    assert_eq!(row, ["email", "0", "1", "0", "0", "0", "0", "1"], "{list}");
    assert!(done(&run(&["jobs", "email", "delayed"])).starts_with("m-2  welcome"));
    let job: serde_json::Value = serde_json::from_str(&done(&run(&["job", "email", "m-1"]))).unwrap();
    assert_eq!((&job["status"], &job["data"]), (&json!("waiting"), &json!({ "to": "finn" })));

    done(&run(&["promote", "email", "m-2"]));
    let early = run(&["promote", "email", "m-2"]);
    assert!(text(&early.stderr).contains("m-2 is waiting"), "{}", text(&early.stderr));
    assert!(text(&run(&["retry", "email", "m-2"]).stderr).contains("only when it has ended"));
    assert!(done(&run(&["retry", "email", "--all"])).starts_with("0 jobs"));
    done(&run(&["pause", "email"]));
    assert!(done(&run(&["show", "email"])).contains("email: paused"));
    done(&run(&["resume", "email"]));
    done(&run(&["remove", "email", "m-1"]));
    assert!(text(&run(&["remove", "email", "m-1"]).stderr).contains("There is no job m-1"));
    assert!(done(&run(&["clean", "email", "waiting"])).starts_with("1 jobs"));
    assert_eq!(run(&["pause", "letters"]).status.code(), Some(2), "there is no such queue");

    let alone = aim(data.path(), &["queue", "list"], &[], "");
    assert_eq!(alone.status.code(), Some(1));
    assert!(text(&alone.stderr).contains("/admin/queues"), "{}", text(&alone.stderr));
}
