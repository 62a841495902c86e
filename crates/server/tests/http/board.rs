//! The board of the queues at `/admin/queues`: who gets in, and what it shows and does, in this process and over Redis.

use crate::app::{Answer, Person, TestApp};
use aim_testkit::RedisServer;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const API: &str = "/admin/queues/api";

/// Every route of it, static files and what is not there included.
const ROUTES: [(&str, &str); 45] = [
    ("GET", "/admin/queues"),
    ("GET", "/admin/queues/"),
    ("GET", "/admin/queues/metrics-history"),
    ("GET", "/admin/queues/job-schedulers"),
    ("GET", "/admin/queues/queue/email"),
    ("GET", "/admin/queues/queue/email/m-1"),
    ("GET", "/admin/queues/static/fonts/fonts.css"),
    ("GET", "/admin/queues/static/images/logo.svg"),
    ("GET", "/admin/queues/static/no-such-file.js"),
    ("GET", "/admin/queues/nothing/here"),
    ("GET", "/admin/queues/api/queues"),
    ("GET", "/admin/queues/api/redis/stats"),
    ("GET", "/admin/queues/api/job-schedulers"),
    ("PUT", "/admin/queues/api/queues/pause"),
    ("PUT", "/admin/queues/api/queues/resume"),
    ("GET", "/admin/queues/api/queues/email/metrics"),
    ("GET", "/admin/queues/api/queues/email/default-job-options"),
    ("GET", "/admin/queues/api/queues/email/job-data-schema"),
    ("GET", "/admin/queues/api/queues/email/workers"),
    ("GET", "/admin/queues/api/queues/email/rate-limit"),
    ("PUT", "/admin/queues/api/queues/email/rate-limit"),
    ("PUT", "/admin/queues/api/queues/email/rate-limit/release"),
    ("POST", "/admin/queues/api/queues/email/add"),
    ("PUT", "/admin/queues/api/queues/email/pause"),
    ("PUT", "/admin/queues/api/queues/email/resume"),
    ("PUT", "/admin/queues/api/queues/email/promote"),
    ("PUT", "/admin/queues/api/queues/email/empty"),
    ("PUT", "/admin/queues/api/queues/email/obliterate"),
    ("PUT", "/admin/queues/api/queues/email/concurrency"),
    ("PUT", "/admin/queues/api/queues/email/retry/failed"),
    ("PUT", "/admin/queues/api/queues/email/clean/failed"),
    ("PATCH", "/admin/queues/api/queues/email/job-schedulers/sweep"),
    ("PUT", "/admin/queues/api/queues/email/job-schedulers/sweep/remove"),
    ("PUT", "/admin/queues/api/queues/email/job-schedulers/sweep/run"),
    ("GET", "/admin/queues/api/queues/email/m-1"),
    ("GET", "/admin/queues/api/queues/email/m-1/logs"),
    ("GET", "/admin/queues/api/queues/email/m-1/flow"),
    ("PUT", "/admin/queues/api/queues/email/m-1/retry"),
    ("PUT", "/admin/queues/api/queues/email/m-1/promote"),
    ("PUT", "/admin/queues/api/queues/email/m-1/clean"),
    ("PATCH", "/admin/queues/api/queues/email/m-1/update-data"),
    ("PATCH", "/admin/queues/api/queues/email/m-1/delay"),
    ("PATCH", "/admin/queues/api/queues/email/m-1/priority"),
    ("PUT", "/admin/queues/api/queues/email/m-1/remove-unprocessed-children"),
    ("DELETE", "/admin/queues/api/queues/email/m-1"),
];

#[tokio::test]
async fn nobody_but_admins_gets_in_anywhere() {
    let app = TestApp::lifted().await;
    let (user, admin) = (app.person("finn").await, app.admin("mara").await);
    for (method, path) in ROUTES {
        let call = || app.call(Method::from_bytes(method.as_bytes()).unwrap(), path).header("accept", "text/html");
        call().send().await.problem(401, "unauthenticated");
        call().header("authorization", "Bearer nonsense").send().await.problem(401, "unauthenticated");
        call().by(&user).send().await.problem(404, "not_found");
        let own = app.url("");
        call().cookie(&user).header("origin", &own).send().await.problem(404, "not_found");
        // The cookie on another site's behalf.
        if method != "GET" {
            call().cookie(&admin).header("origin", "https://evil.test").send().await.problem(403, "forbidden");
            call().cookie(&admin).send().await.problem(403, "forbidden");
        }
        let let_in = call().cookie(&admin).header("origin", &own).send().await;
        assert!(!matches!(let_in.status.as_u16(), 401 | 403 | 500), "{method} {path}: {let_in:?}");
        assert_eq!(let_in.header("ratelimit"), "", "{method} {path} is counted by no limit");
    }
    app.stop().await;
}

#[tokio::test]
async fn the_page_and_its_files_come_from_here_alone() {
    let app = TestApp::lifted().await;
    let admin = app.admin("mara").await;
    let index = app.get("/admin/queues").by(&admin).send().await;
    if index.status == 503 {
        // The page is not built: the answer says so.
        assert!(index.problem(503, "unavailable")["detail"].as_str().unwrap().contains("make page"));
        return app.stop().await;
    }
    let index = index.expect(200);
    assert!(index.header("content-type").starts_with("text/html"));
    let policy = index.header("content-security-policy").to_owned();
    for part in ["default-src 'self'", "script-src 'self';", "connect-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert_eq!(index.header("cache-control"), "no-store");
    assert!(index.text.contains("<base href=\"/admin/queues/\" />"), "{}", index.text);
    let links = index.text.split(['"']).filter(|text| text.starts_with("static/"));
    let files: Vec<String> = links.map(|file| format!("/admin/queues/{file}")).collect();
    assert!(files.len() > 5, "{files:?}");
    for file in files {
        let answer = app.get(&file).by(&admin).send().await.expect(200);
        assert!(answer.header("cache-control").starts_with("private"), "{file}");
        let again = app.get(&file).by(&admin).header("if-none-match", answer.header("etag")).send().await;
        again.expect(304);
    }
    let fonts = app.get("/admin/queues/static/fonts/fonts.css").by(&admin).send().await.expect(200);
    assert!(!fonts.text.contains("http"), "{}", fonts.text);
    let font = fonts.text.split("url(./").nth(1).unwrap().split(')').next().unwrap();
    let font = app.get(&format!("/admin/queues/static/fonts/{font}")).by(&admin).send().await.expect(200);
    assert_eq!(font.header("content-type"), "font/woff2");
    app.stop().await;
}

/// An admin at the board.
struct Desk {
    app: TestApp,
    admin: Person,
    _redis: Option<RedisServer>,
}

impl Desk {
    async fn local() -> Self {
        Self::of(None).await
    }

    async fn over_redis() -> Self {
        Self::of(Some(RedisServer::start().await.unwrap())).await
    }

    async fn of(redis: Option<RedisServer>) -> Self {
        let url = redis.as_ref().map(RedisServer::url).unwrap_or_default();
        let app = TestApp::with(&[("AIM_REDIS__URL", &url), ("AIM_LIMITS__MULTIPLIER", "1000")]).await;
        let admin = app.admin("mara").await;
        Self { app, admin, _redis: redis }
    }

    async fn get(&self, path: &str) -> Value {
        self.app.get(&format!("{API}{path}")).by(&self.admin).send().await.expect(200).json()
    }

    async fn tell(&self, method: Method, path: &str, body: Value) -> Answer {
        self.app.call(method, &format!("{API}{path}")).by(&self.admin).body(body).send().await
    }

    /// Without a body, as the page sends most orders.
    async fn put(&self, path: &str) -> Answer {
        self.app.call(Method::PUT, &format!("{API}{path}")).by(&self.admin).send().await
    }

    /// The queue's part of the list, open on a status.
    async fn queue(&self, name: &str, status: &str) -> Value {
        let list = self.get(&format!("/queues?activeQueue={name}&status={status}&page=1&jobsPerPage=10")).await;
        let queues = list["queues"].as_array().unwrap();
        queues.iter().find(|queue| queue["name"] == name).unwrap().clone()
    }

    async fn reaches(&self, queue: &str, id: &str, status: &str) -> Value {
        let path = format!("{API}/queues/{queue}/{id}");
        for _ in 0..500 {
            let answer = self.app.get(&path).by(&self.admin).send().await;
            if answer.status == 200 && answer.json()["status"] == status {
                return answer.json()["job"].clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{id} is not {status}: {:?}", self.app.get(&path).by(&self.admin).send().await);
    }

    async fn refuses(&self, answer: Answer, status: u16, key: &str) -> Value {
        let body = answer.expect(status).json();
        assert_eq!(body["error"]["key"], format!("ERRORS.{key}"), "{body}");
        body
    }

    /// From the list to a job that failed and, once its data are mended, completes.
    async fn a_failed_job_is_read_mended_and_run_again(self) {
        let list = self.get("/queues").await;
        let names: Vec<&str> =
            list["queues"].as_array().unwrap().iter().map(|queue| queue["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["ai-response", "media-processing", "email", "analytics", "cleanup"]);

        let wrong = json!({ "name": "reply", "data": { "conversationId": 7 }, "options": { "jobId": "odd-1" } });
        let added = self.tell(Method::POST, "/queues/ai-response/add", wrong).await.expect(200).json();
        assert_eq!((&added["job"]["id"], &added["job"]["name"]), (&json!("odd-1"), &json!("reply")));
        let job = self.reaches("ai-response", "odd-1", "failed").await;
        assert_eq!(job["failedReason"], "the job's data name no turn");
        assert_eq!((&job["isFailed"], &job["attempts"]), (&json!(true), &json!(1)));
        assert_eq!(job["data"], json!({ "conversationId": 7 }));
        let logs = self.get("/queues/ai-response/odd-1/logs").await;
        assert!(logs[0].as_str().unwrap().ends_with("run 1 of 1 failed: the job's data name no turn"), "{logs}");
        let queue = self.queue("ai-response", "failed").await;
        assert_eq!((&queue["counts"]["failed"], &queue["jobs"][0]["id"]), (&json!(1), &json!("odd-1")));
        assert_eq!(queue["pagination"], json!({ "pageCount": 1, "range": { "start": 0, "end": 9 } }));
        let flow = self.get("/queues/ai-response/odd-1/flow").await;
        assert_eq!((&flow["isFlowNode"], &flow["flowRoot"]["state"]), (&json!(false), &json!("failed")));

        // It names a turn now, of a message that is not there: there is nothing to be done, and that is well.
        let turn = json!({ "conversationId": "c1", "characterId": "mara", "messageId": "m1", "attempt": 1 });
        let data = json!({ "jobData": turn });
        self.tell(Method::PATCH, "/queues/ai-response/odd-1/update-data", data).await.expect(200);
        self.put("/queues/ai-response/odd-1/retry").await.expect(204);
        let job = self.reaches("ai-response", "odd-1", "completed").await;
        assert_eq!((&job["data"], &job["isFailed"], &job["attempts"]), (&turn, &json!(false), &json!(2)));
        assert!(job["returnValue"]["outcome"].is_string() && job["finishedOn"].is_u64(), "{job}");
        let metrics = self.get("/queues/ai-response/metrics").await;
        assert_eq!(
            (&metrics["completed"]["meta"]["count"], &metrics["failed"]["meta"]["count"]),
            (&json!(1), &json!(1))
        );
        let workers = self.get("/queues/ai-response/workers").await;
        assert_eq!(workers["workers"].as_array().unwrap().len(), 1, "{workers}");
        self.app.stop().await;
    }

    /// What can be done with jobs that stand in line.
    async fn jobs_and_queues_obey(self) {
        self.put("/queues/pause").await.expect(200);
        assert_eq!(self.queue("media-processing", "latest").await["isPaused"], true);
        let add = async |id: &str, options: Value| {
            let mut options = options;
            options["jobId"] = id.into();
            let body = json!({ "name": "note", "data": { "id": id }, "options": options });
            self.tell(Method::POST, "/queues/media-processing/add", body).await
        };
        add("plain", json!({})).await.expect(200);
        add("urgent", json!({ "priority": 2 })).await.expect(200);
        assert_eq!(add("later", json!({ "delay": 60_000 })).await.expect(200).json()["status"], "delayed");
        add("second", json!({ "delay": 60_000, "attempts": 3 })).await.expect(200);
        let bare = self.tell(Method::POST, "/queues/media-processing/add", json!({})).await.expect(200).json();
        assert!(bare["job"]["id"].as_str().unwrap().starts_with("manual-"), "{bare}");
        let counts = self.queue("media-processing", "latest").await["counts"].clone();
        let expected = json!({
            "active": 0, "waiting": 2, "waiting-children": 0, "prioritized": 1, "completed": 0, "failed": 0, "delayed": 2,
        });
        assert_eq!(counts, expected);

        let of = |id: &str, rest: &str| format!("/queues/media-processing/{id}/{rest}");
        self.put(&of("later", "promote")).await.expect(204);
        let refused = self.put(&of("later", "promote")).await;
        let refused = self.refuses(refused, 400, "JOB_NOT_DELAYED").await;
        assert_eq!(refused["error"]["options"], json!({ "status": "waiting" }));
        let refused = self.put(&of("later", "retry")).await;
        self.refuses(refused, 400, "JOB_NOT_RETRIABLE").await;
        self.tell(Method::PATCH, &of("plain", "priority"), json!({ "priority": 5 })).await.expect(200);
        assert_eq!(self.get("/queues/media-processing/plain").await["status"], "prioritized");
        let far = self.tell(Method::PATCH, &of("plain", "priority"), json!({ "priority": -1 })).await;
        self.refuses(far, 400, "INVALID_PRIORITY").await;
        let at = json!({ "runAt": self.app.running.platform.ambient.now().0 + 3_600_000 });
        self.tell(Method::PATCH, &of("second", "delay"), at.clone()).await.expect(200);
        let delay = self.get("/queues/media-processing/second").await["job"]["delay"].as_u64().unwrap();
        assert!((3_590_000..=3_600_000).contains(&delay), "{delay}");
        let soon = self.tell(Method::PATCH, &of("plain", "delay"), at).await;
        self.refuses(soon, 400, "JOB_NOT_DELAYED").await;
        self.put(&of("urgent", "clean")).await.expect(204);
        let gone = self.put(&of("urgent", "clean")).await;
        self.refuses(gone, 404, "JOB_NOT_FOUND").await;
        let children = self.put(&of("plain", "remove-unprocessed-children")).await;
        self.refuses(children, 400, "JOB_UNPROCESSED_CHILDREN_NOT_SUPPORTED").await;

        self.put("/queues/media-processing/promote").await.expect(200);
        assert_eq!(self.queue("media-processing", "delayed").await["counts"]["delayed"], 0);
        self.put("/queues/media-processing/empty").await.expect(200);
        let queue = self.queue("media-processing", "waiting").await;
        assert_eq!((&queue["counts"]["waiting"], &queue["jobs"]), (&json!(0), &json!([])));
        self.tell(Method::PUT, "/queues/media-processing/concurrency", json!({ "concurrency": 3 })).await.expect(200);
        assert_eq!(self.queue("media-processing", "latest").await["globalConcurrency"], 3);
        self.tell(Method::PUT, "/queues/media-processing/concurrency", json!({ "concurrency": 0 })).await.expect(200);
        assert_eq!(self.queue("media-processing", "latest").await["globalConcurrency"], Value::Null);
        self.put("/queues/media-processing/retry/failed").await.expect(200);
        let retry = self.put("/queues/media-processing/retry/waiting").await;
        self.refuses(retry, 400, "STATUS_NOT_RETRIABLE").await;
        self.put("/queues/media-processing/clean/completed").await.expect(200);
        self.put("/queues/resume").await.expect(200);
        let obliterate = self.tell(Method::PUT, "/queues/media-processing/obliterate", json!({ "force": false })).await;
        self.refuses(obliterate, 400, "QUEUE_NOT_PAUSED").await;
        self.put("/queues/media-processing/pause").await.expect(200);
        self.tell(Method::PUT, "/queues/media-processing/obliterate", json!({})).await.expect(200);
        assert_eq!(self.queue("media-processing", "latest").await["isPaused"], false);

        let nothing = self.put("/queues/nothing/pause").await;
        self.refuses(nothing, 404, "QUEUE_NOT_FOUND").await;
        let schedule = self.put("/queues/cleanup/job-schedulers/none/run").await;
        self.refuses(schedule, 404, "JOB_SCHEDULER_NOT_FOUND").await;
        for (body, path) in [
            (json!({ "name": 7 }), "/queues/email/add"),
            (json!({ "options": { "repeat": { "every": 5 } } }), "/queues/email/add"),
            (json!({ "options": { "jobId": "7" } }), "/queues/email/add"),
            (json!([]), "/queues/email/add"),
        ] {
            let wrong = self.tell(Method::POST, path, body).await;
            self.refuses(wrong, 400, "INVALID_REQUEST_BODY").await;
        }
        for query in ["status=odd", "page=0", "jobsPerPage=301"] {
            let wrong = self.app.get(&format!("{API}/queues?activeQueue=email&{query}")).by(&self.admin).send().await;
            self.refuses(wrong, 400, "INVALID_QUERY_PARAM").await;
        }
        self.app.stop().await;
    }
}

#[tokio::test]
async fn a_failed_job_is_read_mended_and_run_again_in_this_process() {
    Desk::local().await.a_failed_job_is_read_mended_and_run_again().await;
}

#[tokio::test]
async fn a_failed_job_is_read_mended_and_run_again_over_redis() {
    Desk::over_redis().await.a_failed_job_is_read_mended_and_run_again().await;
}

#[tokio::test]
async fn jobs_and_queues_obey_in_this_process() {
    Desk::local().await.jobs_and_queues_obey().await;
}

#[tokio::test]
async fn jobs_and_queues_obey_over_redis() {
    Desk::over_redis().await.jobs_and_queues_obey().await;
}

#[tokio::test]
async fn each_backend_says_what_it_is_and_what_it_cannot() {
    let rate = json!({ "max": 5, "duration": 1_000 });
    let desk = Desk::local().await;
    let stats = desk.app.get(&format!("{API}/redis/stats")).by(&desk.admin).send().await;
    desk.refuses(stats, 404, "REDIS_STATS_UNAVAILABLE").await;
    assert_eq!(desk.get("/queues/email/rate-limit").await, json!({ "supported": false, "rateLimit": null }));
    let refused = desk.tell(Method::PUT, "/queues/email/rate-limit", rate.clone()).await;
    desk.refuses(refused, 400, "RATE_LIMIT_NOT_SUPPORTED").await;
    assert_eq!(desk.queue("email", "latest").await["supportsGlobalRateLimit"], false);
    desk.app.stop().await;

    let desk = Desk::over_redis().await;
    let stats = desk.get("/redis/stats").await;
    assert_eq!((&stats["backend"], &stats["mode"]), (&json!("redis"), &json!("standalone")));
    assert!(stats["version"].as_str().unwrap().contains('.') && stats["memory"]["used"].as_u64() > Some(0), "{stats}");
    desk.tell(Method::PUT, "/queues/email/rate-limit", rate.clone()).await.expect(200);
    assert_eq!(desk.get("/queues/email/rate-limit").await, json!({ "supported": true, "rateLimit": rate }));
    desk.put("/queues/email/rate-limit/release").await.expect(200);
    desk.tell(Method::PUT, "/queues/email/rate-limit", json!({ "max": null })).await.expect(200);
    assert_eq!(desk.get("/queues/email/rate-limit").await["rateLimit"], Value::Null);
    let odd = desk.tell(Method::PUT, "/queues/email/rate-limit", json!({ "max": 5 })).await;
    desk.refuses(odd, 400, "INVALID_RATE_LIMIT").await;
    desk.app.stop().await;
}
