//! The command line, as the binary that people run.

use crate::app::{PASSWORD, TestApp, person};
use aim_domain::{Ambient, MediaKind, UploadId, Username};
use aim_store::sqlite::{SqliteOptions, SqliteStore};
use aim_store::{NewUpload, Period, Store, Stretch, Uploads};
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
    for fine in ["ok     data folder", "ok     database", "ok     redis", "ok     address"] {
        assert!(told.contains(fine), "{told}");
    }
    let redis = format!("redis://:hunter2@{nobody}");
    let ill = aim(data.path(), &["doctor"], &[("AIM_HTTP__PORT", "0"), ("AIM_REDIS__URL", &redis)], "");
    assert_eq!(ill.status.code(), Some(1));
    let told = text(&ill.stdout);
    assert!(told.contains("WRONG  redis") && told.contains("(main)") && !told.contains("hunter2"), "{told}");
    done(&aim(data.path(), &["migrate"], &[], ""));
}

#[tokio::test]
async fn commands_work_on_postgres_and_tell_no_password() {
    let (data, database) = (tempfile::tempdir().unwrap(), aim_testkit::Database::fresh().await.unwrap());
    let url = database.url().replace("aim@", "aim:hunter2@");
    let variables = [("AIM_DATABASE__URL", url.as_str()), ("AIM_HTTP__PORT", "0")];
    let run = |arguments: &[&str], input: &str| aim(data.path(), arguments, &variables, input);
    let told = done(&run(&["migrate"], ""));
    assert!(told.contains("is ready for this version") && !told.contains("hunter2"), "{told}");
    done(&run(&["user", "create", "finn", "--email", "finn@example.test", "--password-stdin"], "a long password"));
    assert!(done(&run(&["user", "show", "finn"], "")).contains("finn@example.test"));
    let redis = aim_testkit::RedisServer::start().await.unwrap();
    let variables = [variables[0], variables[1], ("AIM_REDIS__URL", &redis.url())];
    let told = text(&aim(data.path(), &["doctor"], &variables, "").stdout);
    assert!(told.contains("ok     redis          answers"), "{told}");
    redis.command(&["REPLICAOF", "127.0.0.1", "1"]).await.unwrap();
    let ill = aim(data.path(), &["doctor"], &variables, "");
    assert!(text(&ill.stdout).contains("WRONG  redis          takes no writes"), "{}", text(&ill.stdout));
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

    done(&run(&["add", "email", "welcome", "--id", "m-3"]));
    done(&run(&["set", "email", "m-3", "--data", "{\"to\": \"ines\"}", "--priority", "7"]));
    let job: serde_json::Value = serde_json::from_str(&done(&run(&["job", "email", "m-3"]))).unwrap();
    assert_eq!((&job["priority"], &job["data"]), (&json!(7), &json!({ "to": "ines" })));
    assert!(text(&run(&["set", "email", "m-3", "--delay", "9"]).stderr).contains("only while it is delayed"));
    assert_eq!(run(&["set", "email", "m-3"]).status.code(), Some(2), "nothing is to be set");
    done(&run(&["add", "email", "welcome", "--id", "m-4", "--delay", "600"]));
    done(&run(&["set", "email", "m-4", "--delay", "900"]));
    assert!(done(&run(&["drain", "email"])).contains("Nothing waits"));
    let list = done(&run(&["list"]));
    let row: Vec<&str> = list.lines().find(|line| line.starts_with("email")).unwrap().split_whitespace().collect();
    assert_eq!(row, ["email", "0", "0", "0", "0", "0", "0", "1"], "{list}");

    assert!(done(&run(&["concurrency", "email"])).contains("as many"));
    assert!(done(&run(&["concurrency", "email", "3"])).contains("3 jobs at a time"));
    assert!(done(&run(&["concurrency", "email", "--unlimited"])).contains("as many"));
    assert!(done(&run(&["rate", "email", "5", "--per", "2"])).contains("5 jobs in 2 s"));
    done(&run(&["rate", "email", "--release"]));
    assert!(done(&run(&["rate", "email", "--unlimited"])).contains("no rate"));
    assert_eq!(run(&["rate", "email", "5"]).status.code(), Some(2), "in what time?");

    assert!(text(&run(&["obliterate", "email"]).stderr).contains("not paused"));
    done(&run(&["pause", "email"]));
    assert!(done(&run(&["obliterate", "email"])).contains("email is empty"));
    assert!(done(&run(&["show", "email"])).contains("email: running"), "the pause went with it");

    let alone = aim(data.path(), &["queue", "list"], &[], "");
    assert_eq!(alone.status.code(), Some(1));
    assert!(text(&alone.stderr).contains("/admin/queues"), "{}", text(&alone.stderr));
}

#[tokio::test]
async fn a_job_that_failed_and_the_schedules_are_run_again_from_a_terminal() {
    let redis = aim_testkit::RedisServer::start().await.unwrap();
    let url = redis.url();
    let app = TestApp::with(&[("AIM_REDIS__URL", url.as_str())]).await;
    let variables = [("AIM_REDIS__URL", url.as_str())];
    let run = |arguments: &[&str]| aim(app.data.path(), &[&["queue"], arguments].concat(), &variables, "");
    let job = |id: &str| -> serde_json::Value {
        serde_json::from_str(&done(&run(&["job", "media-processing", id]))).unwrap()
    };
    let fails = async |times: u64| {
        let failed = async {
            loop {
                let job = job("m-1");
                if job["status"] == "failed" && job["attemptsMade"] == times {
                    return job;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), failed).await.unwrap()
    };
    // The server's own worker runs it, and cannot.
    done(&run(&["add", "media-processing", "process", "--id", "m-1"]));
    let failed = fails(1).await;
    assert_eq!(failed["failedReason"], "the job's data name no upload");
    assert!(done(&run(&["jobs", "media-processing", "failed"])).contains("m-1  process"));
    assert!(done(&run(&["retry", "media-processing", "m-1"])).contains("m-1 is in line again"));
    assert_eq!(fails(2).await["log"].as_array().unwrap().len(), 2, "a line for each run");
    assert!(done(&run(&["retry", "media-processing", "--all"])).starts_with("1 jobs"));
    fails(3).await;
    assert!(done(&run(&["retry", "media-processing", "--all-completed"])).starts_with("0 jobs that completed"));
    assert!(done(&run(&["redis"])).starts_with("Redis "));
    assert!(done(&run(&["metrics", "media-processing"])).contains("0 completed and 3 failed"));

    let schedules = done(&run(&["schedules", "cleanup"]));
    let drafts = schedules.lines().find(|line| line.starts_with("drafts  ")).unwrap();
    assert!(drafts.contains("every 3600 s") && schedules.contains("stray-files  every 86400 s"), "{schedules}");
    let added = done(&run(&["schedules", "cleanup", "run", "drafts"]));
    let id = added.split(' ').next().unwrap().to_owned();
    let ran = async {
        loop {
            let job: serde_json::Value = serde_json::from_str(&done(&run(&["job", "cleanup", &id]))).unwrap();
            if job["status"] == "completed" {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let ran = tokio::time::timeout(Duration::from_secs(20), ran).await.unwrap();
    assert_eq!(ran["returned"], json!({ "removed": [{ "what": "drafts", "count": 0 }] }));
    done(&run(&["schedules", "cleanup", "set", "drafts", "--every", "1800"]));
    assert!(done(&run(&["schedules", "cleanup"])).contains("drafts  every 1800 s"));
    assert!(text(&run(&["schedules", "cleanup", "set", "drafts", "--pattern", "now and then"]).stderr).len() > 10);
    assert_eq!(run(&["schedules", "cleanup", "run"]).status.code(), Some(2), "which one?");
    assert!(text(&run(&["schedules", "cleanup", "run", "nothing"]).stderr).contains("There is no schedule nothing"));
    assert!(done(&run(&["schedules", "cleanup", "remove", "drafts"])).contains("drafts is removed"));
    app.stop().await;
}

fn lies(data: &Path, key: &str, days: u64) {
    let file = data.join(key);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "bytes").unwrap();
    let now = Duration::from_millis(u64::try_from(Ambient::system().now().0).unwrap());
    let old = std::time::UNIX_EPOCH + now - Duration::from_secs(days * 86_400);
    std::fs::File::options().append(true).open(file).unwrap().set_modified(old).unwrap();
}

#[tokio::test]
async fn a_dry_run_shows_what_would_go_and_a_run_takes_it_with_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let [upload, kept, left] = std::array::from_fn(|_| Ambient::system().id::<UploadId>().to_string());
    let create = ["user", "create", "finn", "--email", "finn@example.test", "--password-stdin"];
    done(&aim(data, &create, &[], &format!("{PASSWORD}\n")));
    // What a server leaves that ends before it removed the bytes of what somebody deleted.
    let (path, ambient) = (data.join("aim.db"), Ambient::system());
    let store = SqliteStore::open(&path, SqliteOptions::default(), ambient).unwrap();
    let owner = store.user_by_username(&Username::parse("finn").unwrap()).await.unwrap().unwrap().id;
    for id in [&upload, &kept] {
        let (id, owner, mime_type) = (id.parse().unwrap(), owner.clone(), "audio/wav".into());
        store.create_upload(NewUpload { id, owner, kind: MediaKind::Audio, mime_type, size: 5 }, None).await.unwrap();
    }
    store.delete_upload(&upload.parse().unwrap(), None).await.unwrap();
    store.close().await;
    let of = |id: &str| format!("elsewhere/uploads/{id}/original");
    let (gone, stray) = (of(&upload), of(&left));
    lies(data, &gone, 0);
    lies(data, &stray, 2);
    lies(data, &of(&kept), 2);
    let place = data.join("elsewhere");
    let variables = [("AIM_MEDIA__DIR", place.to_str().unwrap())];
    let told = |arguments: &[&str], what: &str| -> String {
        let told = done(&aim(data, arguments, &variables, ""));
        told.lines()
            .find(|line| line.split_whitespace().next() == Some(what))
            .unwrap_or_else(|| panic!("{told}"))
            .into()
    };
    let dry = |what: &str| told(&["cleanup", "--dry-run"], what);
    for _ in 0..2 {
        assert!(dry("stray-files").contains("1 would go, older than 1d"), "{}", dry("stray-files"));
        assert!(dry("search").contains("? is known only by removing it"), "{}", dry("search"));
        assert!(data.join(&stray).exists() && data.join(&gone).exists(), "a dry run removes nothing");
    }
    assert!(dry("sessions").contains("0 would go, older than 1h"));
    assert!(dry("deleted-uploads").contains("1 would go"));
    let told = done(&aim(data, &["cleanup"], &variables, ""));
    let removed = |what: &str| told.lines().any(|line| line.starts_with(what) && line.contains("1 removed"));
    assert!(removed("deleted-uploads") && removed("stray-files"), "{told}");
    assert!(!data.join(&stray).exists() && data.join(of(&kept)).exists());
    assert!(dry("stray-files").contains("0 would go") && dry("deleted-uploads").contains("0 would go"));
    assert!(!data.join(&gone).exists(), "the bytes went with their row");
}

#[tokio::test]
async fn reports_are_made_anew_from_a_terminal() {
    let app = TestApp::lifted().await;
    app.person("mara").await;
    let (data, now) = (app.data.path(), app.running.platform.ambient.now());
    let today = now.day();
    let made = done(&aim(data, &["report", "--from", &today], &[], ""));
    assert_eq!(made.trim(), "Made 1 reports of days and 24 of hours.");
    let stretch = Stretch { from: Period::Day.start_of(now), to: now };
    let reports = app.running.platform.reports(Period::Day, stretch, 9).await.unwrap();
    assert_eq!((reports.len(), reports[0].activity.new_users), (1, 1));
    let long_ago = done(&aim(data, &["report", "--from", "2026-01-01", "--to", "2026-01-02"], &[], ""));
    assert!(
        long_ago.contains("2026-01-01: left as it is") && long_ago.contains("Made 0 reports of days"),
        "{long_ago}"
    );
    for (arguments, why) in [
        (vec!["report", "--from", "yesterday"], "\"yesterday\" is no day"),
        (vec!["report", "--from", "2026-01-02", "--to", "2026-01-01"], "2026-01-02 is after 2026-01-01"),
    ] {
        let bad = aim(data, &arguments, &[], "");
        assert_eq!(bad.status.code(), Some(1));
        assert!(text(&bad.stderr).contains(why), "{}", text(&bad.stderr));
    }
    app.stop().await;
}

#[tokio::test]
async fn what_a_killed_server_was_receiving_is_removed_at_the_next_start() {
    let data = tempfile::tempdir().unwrap();
    lies(data.path(), "incoming/.tmpOld", 1);
    lies(data.path(), "incoming/.tmpNew", 0);
    let config = aim_server::config::Config::with([("AIM_DATA__DIR", data.path().to_str().unwrap())]).unwrap();
    let now = Ambient::system().now();
    assert_eq!(aim_server::http::incoming::sweep(&config, now).unwrap(), 1);
    let is_there = |name: &str| data.path().join("incoming").join(name).exists();
    assert_eq!((is_there(".tmpOld"), is_there(".tmpNew")), (false, true), "another server may be receiving it");
    assert_eq!(aim_server::http::incoming::sweep(&config, now).unwrap(), 0);
}
