//! How often each route is called and how long it takes. The counters of all routes are looked up once, at the start:
//! a request only adds to them.

use http::{Method, StatusCode};
use metrics::{Counter, Histogram, counter, histogram};
use std::collections::HashMap;
use std::time::Duration;

const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

struct Meter {
    answers: [Counter; 4],
    seconds: Histogram,
}

impl Meter {
    fn new(method: &str, route: &str) -> Self {
        let name = |text: &str| text.to_owned();
        let answers = CLASSES.map(|class| {
            counter!("aim_http_requests_total", "method" => name(method), "route" => name(route), "status" => class)
        });
        Self {
            answers,
            seconds: histogram!("aim_http_request_seconds", "method" => name(method), "route" => name(route)),
        }
    }
}

pub(crate) struct Meters {
    routes: HashMap<String, Vec<(Method, Meter)>>,
    other: Meter,
}

impl Meters {
    /// `routes`: a method and a path with its `{names}`.
    pub fn new<'a>(routes: impl Iterator<Item = (Method, &'a str)>) -> Self {
        let mut meters = Self { routes: HashMap::new(), other: Meter::new("any", "other") };
        for (method, route) in routes {
            let meter = Meter::new(method.as_str(), route);
            meters.routes.entry(route.to_owned()).or_default().push((method, meter));
        }
        meters
    }

    pub fn count(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        let of_route = self.routes.get(route).and_then(|meters| meters.iter().find(|(of, _)| of == method));
        let meter = of_route.map_or(&self.other, |(_, meter)| meter);
        let class = usize::from(status.as_u16() / 100).clamp(2, 5) - 2;
        meter.answers[class].increment(1);
        meter.seconds.record(took.as_secs_f64());
    }
}
