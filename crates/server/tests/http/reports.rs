//! `GET /api/admin/reports`.

use crate::app::TestApp;
use aim_domain::{Role, Timestamp};
use aim_store::{Period, Stretch};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn reports_are_for_admins_as_json_and_csv() {
    let app = TestApp::start().await;
    let mara = app.person("mara").await;
    app.get("/api/admin/reports").send().await.problem(401, "unauthenticated");
    app.get("/api/admin/reports").by(&mara).send().await.problem(403, "forbidden");
    app.running.platform.set_user("mara", None, Some(Role::Admin)).await.unwrap();
    let read = async {
        while app.get("/api/admin/reports").by(&mara).send().await.status != 200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), read).await.unwrap();
    app.running.platform.roll_up(Period::Day, app.running.platform.ambient.now()).await.unwrap();
    app.running.platform.roll_up(Period::Hour, Timestamp(1_795_408_728_120)).await.unwrap();

    let answer = app.get("/api/admin/reports").by(&mara).send().await.expect(200).json();
    assert_eq!(answer["period"], "day");
    let items = answer["items"].as_array().unwrap();
    let today = items.last().unwrap();
    assert_eq!((&today["newUsers"], &today["activeUsers"]), (&1.into(), &0.into()), "{answer}");

    let hours = "/api/admin/reports?period=hour&from=2026-11-23&to=2026-11-23";
    let hours_answer = app.get(hours).by(&mara).send().await.expect(200).json();
    assert!(hours_answer["items"].as_array().unwrap().iter().any(|hour| hour["start"] == "2026-11-23T04:00:00.000Z"));

    let csv = app.get(&format!("{hours}&format=csv")).by(&mara).send().await.expect(200);
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    assert!(csv.header("content-disposition").contains("aim-hours-2026-11-23.csv"));
    assert!(csv.text.starts_with("start,activeUsers,"), "{}", csv.text);
    assert!(csv.text.contains("\r\n2026-11-23T04:00:00.000Z,0,0,"), "{}", csv.text);

    let first = async |table: &str, file: &str| {
        let csv = app.get(&format!("{hours}&format=csv&table={table}")).by(&mara).send().await.expect(200);
        assert!(csv.header("content-disposition").contains(file), "{csv:?}");
        csv.text.lines().next().unwrap().to_owned()
    };
    assert!(first("models", "aim-hours-models-2026-11-23.csv").await.starts_with("start,model,"));
    assert!(first("waits", "aim-hours-waits-2026-11-23.csv").await.starts_with("start,queue,"));
    assert!(first("limits", "aim-hours-limits-2026-11-23.csv").await.starts_with("start,limit,"));

    for wrong in [
        "table=models",
        "format=csv&table=people",
        "from=yesterday",
        "to=2026-13-01",
        "period=week",
        "format=xml",
        "from=2026-11-24&to=2026-11-22",
    ] {
        app.get(&format!("/api/admin/reports?{wrong}")).by(&mara).send().await.problem(422, "validation");
    }
}

/// What a server measures comes to its reports by the way that all servers use.
#[tokio::test]
async fn a_server_hands_in_what_it_measured_when_it_ends() {
    let app = TestApp::start().await;
    let mara = app.person("mara").await;
    app.get("/api/auth/me").by(&mara).send().await.expect(200);
    let platform = &app.running.platform;
    let stop = CancellationToken::new();
    stop.cancel();
    aim_server::telemetry::figures::hand_in(platform.clone(), stop).await;
    let (store, now) = (&platform.store, platform.ambient.now());
    let around = Stretch { from: Timestamp(now.0 - 120_000), to: now.plus(Duration::from_secs(120)) };
    for _ in 0..1_000 {
        if store.measured(around).await.unwrap().times.contains_key("request") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing was handed in");
}
