//! The promises of configuration: what wins over what, and what an error says.

use super::*;

fn from(file: Option<&str>, variables: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let pairs = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    load(file.map(|text| (Path::new("aim.toml"), text)), pairs)
}

fn error(file: Option<&str>, variables: &[(&str, &str)]) -> String {
    from(file, variables).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let loaded = from(None, &[]).unwrap();
    let config = loaded.config;
    assert_eq!(config.profile, Profile::Production);
    assert_eq!((config.http.host.as_str(), config.http.port), ("127.0.0.1", 8080));
    assert_eq!(config.database_path(), PathBuf::from("data/aim.db"));
    assert_eq!((config.ai.provider, config.ai.replies_per_character), (aim_ai::Provider::Local, 1));
    assert_eq!((config.workers.enabled, config.workers.concurrency), (true, 20));
    assert_eq!((config.redis.prefix.as_str(), config.queue.prefix.as_str()), ("aim:", "aim"));
    assert_eq!(loaded.warnings, Vec::<String>::new());
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
    let file = "[http]\nport = 1\nhost = \"127.0.0.2\"\n[limits.premium]\napi = 9\n";
    let variables = [
        ("AIM_HTTP__PORT", "2"),
        ("AIM_AI__LOCAL__MODEL_PATH", "m.gguf"),
        ("AIM_HTTP__ALLOWED_ORIGINS", "https://A.test/, http://b.test:8080"),
        ("AIM_HTTP__TRUSTED_PROXIES", "10.0.0.0/8,::1"),
        ("AIM_BIN", "somebody else's"),
    ];
    let config = from(Some(file), &variables).unwrap().config;
    assert_eq!((config.http.port, config.http.host.as_str()), (2, "127.0.0.2"));
    assert_eq!(config.limits.rules().premium[0], (aim_domain::Rule::Api, 9));
    assert_eq!(config.ai.local.model_path, PathBuf::from("m.gguf"));
    assert_eq!(config.http.allowed_origins, ["https://a.test", "http://b.test:8080"]);
    assert_eq!(config.http.trusted_proxies.len(), 2);
}

#[test]
fn an_error_names_its_file_or_variable_and_what_to_do() {
    for (file, variables, said) in [
        (Some("[http]\nprot = 1"), &[][..], "aim.toml: \"prot\" is no setting in [http]; did you mean \"port\"?"),
        (Some("[htpp]\nport = 1"), &[], "aim.toml: \"htpp\" is no setting or section; did you mean \"http\"?"),
        (Some("http = 1"), &[], "aim.toml: http is a section; write it as [http]"),
        (Some("[http]\nport = \"x\""), &[], "aim.toml: http.port: invalid type"),
        (Some("[http]\nport = "), &[], "aim.toml is not valid TOML"),
        (None, &[("AIM_HTTP__PORT", "eighty")], "AIM_HTTP__PORT: \"eighty\" is not a whole number"),
        (None, &[("AIM_HTTP__PORT", "80000")], "AIM_HTTP__PORT: "),
        (None, &[("AIM_SERVER__LEASE", "10")], "AIM_SERVER__LEASE: \"10\" is no length of time"),
        (None, &[("AIM_AI__PROVIDER", "hal")], "AIM_AI__PROVIDER: unknown variant `hal`"),
        (None, &[("AIM_WORKERS__ENABLED", "maybe")], "AIM_WORKERS__ENABLED: \"maybe\" is not true or false"),
        (None, &[("AIM_HTTP__ALLOWED_ORIGINS", "*")], "AIM_HTTP__ALLOWED_ORIGINS: \"*\" is no origin"),
        (None, &[("AIM_PROFILE", "test")], "AIM_PROFILE: unknown variant `test`"),
        (None, &[("AIM_AI__PROVIDER", "openai")], "AIM_AI__MODEL: name the model"),
        (None, &[("AIM_AI__PROVIDER", "anthropic")], "AIM_AI__MODEL: name the model"),
        (None, &[("AIM_TRANSCRIPTION__BASE_URL", "whisper:8082/v1")], "AIM_TRANSCRIPTION__BASE_URL: it must start"),
        (None, &[("AIM_TRANSCRIPTION__BASE_URL", "http://a/v1")], "AIM_TRANSCRIPTION__MODEL: name the model"),
        (None, &[("AIM_TRANSCRIPTION__TIMEOUT", "0s")], "AIM_TRANSCRIPTION__TIMEOUT: it must be 1 at least"),
    ] {
        let error = error(file, variables);
        assert!(error.starts_with(said), "{error:?} should start with {said:?}");
    }
}

#[test]
fn a_variable_that_is_empty_leaves_the_default() {
    let empty = [("AIM_HTTP__PORT", ""), ("AIM_PROFILE", " "), ("AIM_WORKERS__ENABLED", ""), ("AIM_QUEUE__PREFIX", "")];
    let loaded = from(None, &empty).unwrap();
    let config = &loaded.config;
    assert_eq!((config.http.port, config.workers.enabled, config.queue.prefix.as_str()), (8080, true, "aim"));
    assert!(
        loaded.warnings.iter().filter(|warning| warning.contains("is empty")).count() == 4,
        "{:?}",
        loaded.warnings
    );
    // Of what is nothing by default it takes away what a file says.
    let file = Some("[redis]\nurl = \"redis://a\"\n");
    assert!(from(file, &[("AIM_REDIS__URL", "")]).unwrap().config.redis.url.expose().is_empty());
    for (word, is) in [("TRUE", true), ("yes", true), ("Off", false), ("0", false)] {
        assert_eq!(from(None, &[("AIM_WORKERS__ENABLED", word)]).unwrap().config.workers.enabled, is, "{word}");
    }
}

#[test]
fn a_server_of_ones_own_may_leave_its_model_without_a_name() {
    let named = |variables: &[(&str, &str)]| from(None, variables).unwrap().config.model_name();
    let own = [("AIM_AI__PROVIDER", "openai"), ("AIM_AI__BASE_URL", "http://127.0.0.1:8081/v1")];
    assert_eq!(named(&own), "default");
    assert_eq!(named(&[own[0], own[1], ("AIM_AI__MODEL", "mistral")]), "mistral");
}

#[test]
fn nothing_is_transcribed_unless_it_is_said_where() {
    assert_eq!(from(None, &[]).unwrap().config.transcription.base_url, "");
    let variables = [
        ("AIM_TRANSCRIPTION__BASE_URL", "http://127.0.0.1:8082/v1"),
        ("AIM_TRANSCRIPTION__MODEL", "whisper-1"),
        ("AIM_TRANSCRIPTION__API_KEY", "canary"),
        ("AIM_TRANSCRIPTION__TIMEOUT", "30s"),
    ];
    let loaded = from(None, &variables).unwrap();
    assert_eq!(loaded.config.transcription.timeout.as_secs(), 30);
    assert_eq!(loaded.config.transcription.api_key.expose(), "canary");
    assert!(!loaded.shown().contains("canary"), "{}", loaded.shown());
}

#[test]
fn what_comes_later_is_refused() {
    for (name, value) in [("AIM_DATABASE__URL", "firestore://demo"), ("AIM_FIREBASE__PROJECT_ID", "demo")] {
        let error = error(None, &[(name, value)]);
        assert!(error.starts_with(name) && error.contains("not in this version"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn media_lie_in_one_place() {
    let place = |variables| from(None, variables).unwrap().config.media_place();
    assert_eq!(place(&[("AIM_DATA__DIR", "/data")]), "/data/media");
    assert_eq!(place(&[("AIM_MEDIA__DIR", "/pictures")]), "/pictures");
    assert_eq!(place(&[("AIM_MEDIA__URL", "s3://bucket/aim")]), "s3://bucket/aim");
    let error = error(None, &[("AIM_MEDIA__URL", "s3://bucket"), ("AIM_MEDIA__DIR", "/pictures")]);
    assert!(error.starts_with("AIM_MEDIA__URL") && error.contains("AIM_MEDIA__DIR"), "{error}");
}

#[test]
fn a_database_is_sqlite_or_postgres() {
    let of = |url| from(None, &[("AIM_DATABASE__URL", url)]).unwrap().config;
    let config = of("postgres://user:secret@db.test:5432/aim?sslmode=require");
    assert_eq!((config.database.is_postgres(), config.database_name().as_str()), (true, "db.test:5432/aim"));
    assert!(of("postgresql:///aim?host=/run/postgresql").database.is_postgres());
    let config = of("sqlite://here.db");
    assert_eq!((config.database.is_postgres(), config.database_path()), (false, PathBuf::from("here.db")));
    let error = error(None, &[("AIM_DATABASE__URL", "mysql://user:secret@db/aim")]);
    assert!(
        error.contains("AIM_DATABASE__URL") && error.contains("postgres://") && !error.contains("secret"),
        "{error}"
    );
}

#[test]
fn an_address_of_redis_is_checked_at_the_start() {
    let loaded = from(None, &[("AIM_REDIS__URL", "redis://127.0.0.1:6379/0")]).unwrap();
    assert!(loaded.warnings[0].contains("SQLite"), "{:?}", loaded.warnings);
    let settings = loaded.config.redis.settings(&loaded.config.queue).unwrap();
    assert!(settings.cache.is_none(), "all uses share one Redis");
    let sentinel = ("AIM_REDIS__URL", "redis+sentinel://ada:p@a/main");
    let login = [sentinel, ("AIM_REDIS__SENTINEL_USERNAME", "eve"), ("AIM_REDIS__SENTINEL_PASSWORD", "s")];
    let loaded = from(None, &[&login[..], &[("AIM_REDIS__READ_FROM", "replica")]].concat()).unwrap();
    let settings = loaded.config.redis.settings(&loaded.config.queue).unwrap().main;
    assert_eq!(
        (settings.sentinel.username.as_deref(), settings.sentinel.password.as_deref()),
        (Some("eve"), Some("s"))
    );
    assert!(!loaded.warnings.iter().any(|warning| warning.contains("nothing")), "{:?}", loaded.warnings);
    let idle = [("AIM_REDIS__URL", "redis://a"), ("AIM_REDIS__READ_FROM", "replica"), login[2]];
    let idle = from(None, &idle).unwrap().warnings;
    assert_eq!(idle.iter().filter(|warning| warning.contains("does nothing")).count(), 2, "{idle:?}");
    let shared = |cache, queue| {
        let urls = [("AIM_REDIS__URL", "redis://a"), ("AIM_REDIS__CACHE_URL", cache), ("AIM_REDIS__QUEUE_URL", queue)];
        from(None, &urls).unwrap().warnings.iter().any(|warning| warning.contains("allkeys-lfu"))
    };
    assert!(shared("redis://b", "redis://b:6379/0"), "one Redis, however it is written");
    for (cache, queue) in [("redis://b", "redis://c"), ("redis://a", "redis://a"), ("", "")] {
        assert!(!shared(cache, queue), "{cache:?}, {queue:?}");
    }
    for (variables, said) in [
        (&[("AIM_REDIS__URL", "http://a")][..], "AIM_REDIS__URL: "),
        (&[("AIM_REDIS__BUS_URL", "redis://a")], "AIM_REDIS__BUS_URL: set AIM_REDIS__URL"),
        (&[("AIM_REDIS__URL", "redis://a"), ("AIM_REDIS__CACHE_URL", "redis://a,b")], "AIM_REDIS__CACHE_URL: "),
        (&[("AIM_REDIS__READ_FROM", "nearest")], "AIM_REDIS__READ_FROM"),
        (&[("AIM_REDIS__SENTINEL_USERNAME", "eve")], "AIM_REDIS__SENTINEL_USERNAME: "),
    ] {
        let error = error(None, variables);
        assert!(error.starts_with(said), "{error:?} should start with {said:?}");
    }
}

#[test]
fn a_misspelt_variable_is_told() {
    let loaded = from(None, &[("AIM_HTTP__PROT", "1")]).unwrap();
    assert_eq!(loaded.warnings, ["AIM_HTTP__PROT is no setting and does nothing; did you mean AIM_HTTP__PORT?"]);
}

#[test]
fn risky_pairs_are_warned_of() {
    let loaded =
        from(None, &[("AIM_HTTP__HOST", "0.0.0.0"), ("AIM_SERVER__LEASE", "2s"), ("AIM_LIMITS__MULTIPLIER", "9")]);
    let warnings = loaded.unwrap().warnings;
    for word in ["trusted proxy", "AIM_SERVER__LEASE", "load test"] {
        assert!(warnings.iter().any(|warning| warning.contains(word)), "{word}: {warnings:?}");
    }
}

#[test]
fn what_is_shown_hides_secrets() {
    let variables = [
        ("AIM_AI__API_KEY", "sk-1234"),
        ("AIM_REDIS__URL", "rediss://me:hunter2@redis.test/0"),
        ("AIM_DATABASE__URL", "postgres://me:hunter3@db.test/aim?sslmode=require&password=hunter4"),
    ];
    let loaded = from(None, &variables).unwrap();
    let (shown, debug) = (loaded.shown(), format!("{:?}", loaded.config));
    for secret in ["sk-1234", "hunter2", "hunter3", "hunter4"] {
        assert!(!shown.contains(secret) && !debug.contains(secret), "{shown}\n{debug}");
    }
    assert!(shown.contains("rediss://hidden@redis.test/0"), "{shown}");
    assert!(shown.contains("postgres://hidden@db.test/aim?sslmode=require&password=hidden"), "{shown}");
    assert!(from(Some(&loaded.shown()), &[]).is_ok(), "what is shown reads back");
}

#[test]
fn a_server_that_sends_mail_says_who_it_is_and_where() {
    const URL: (&str, &str) = ("AIM_MAIL__URL", "smtps://me:hunter2@mail.test");
    const FROM: (&str, &str) = ("AIM_MAIL__FROM", "aim <hello@aim.test>");
    let config = from(None, &[URL, FROM, ("AIM_MAIL__PUBLIC_URL", "https://aim.test/")]).unwrap().config;
    assert_eq!((config.public_url().as_str(), config.mail_from()), ("https://aim.test", "aim <hello@aim.test>"));
    for (variables, said) in [
        (&[URL][..], "AIM_MAIL__FROM: it is needed"),
        (&[URL, FROM], "AIM_MAIL__PUBLIC_URL: it is needed"),
        (&[("AIM_MAIL__URL", "mail.test")], "AIM_MAIL__URL: "),
        (&[("AIM_MAIL__FROM", "hello")], "AIM_MAIL__FROM: "),
        (&[("AIM_MAIL__PUBLIC_URL", "aim.test")], "AIM_MAIL__PUBLIC_URL: "),
    ] {
        let error = error(None, variables);
        assert!(error.starts_with(said) && !error.contains("hunter2"), "{error:?} should start with {said:?}");
    }
    let here = from(None, &[("AIM_PROFILE", "development"), ("AIM_HTTP__HOST", "0.0.0.0")]).unwrap().config;
    assert_eq!(here.public_url(), "http://localhost:8080");
}

#[test]
fn only_queues_that_others_may_take_over_are_foreign_and_only_over_redis() {
    let redis = ("AIM_REDIS__URL", "redis://127.0.0.1");
    let foreign = |queues: &'static str| ("AIM_WORKERS__FOREIGN", queues);
    let workers = from(None, &[redis, foreign("ai-response")]).unwrap().config.workers;
    assert!(workers.has_foreign("ai-response") && !workers.has_foreign("email"));
    let said = error(None, &[redis, foreign("ai-response,media-processing")]);
    assert!(said.starts_with("AIM_WORKERS__FOREIGN: \"media-processing\" is none of ai-response and email"), "{said}");
    let said = error(None, &[foreign("ai-response")]);
    assert!(said.starts_with("AIM_WORKERS__FOREIGN: ") && said.contains("AIM_REDIS__URL"), "{said}");
    let said = error(None, &[redis, foreign("email")]);
    assert!(said.starts_with("AIM_MAIL__FROM: it is needed"), "{said}");
}
