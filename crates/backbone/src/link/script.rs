//! Lua scripts: each in a file of its own, headed by its KEYS, ARGV and answer. Redis knows them by their hash; one that
//! it forgot (a restart, SCRIPT FLUSH) is sent along with the call that misses it.

use redis::{Cmd, ToRedisArgs};
use std::sync::OnceLock;

/// A script as it is declared beside its backend:
/// `static ADMIT: Script = Script::new(include_str!("scripts/admit.lua"));`
///
/// Its keys share one slot (a hash tag in Cluster), and the first of them says where it runs: there is at least one.
pub struct Script {
    code: &'static str,
    hash: OnceLock<String>,
}

impl Script {
    pub const fn new(code: &'static str) -> Self {
        Self { code, hash: OnceLock::new() }
    }

    /// A call of it with these keys; arguments are added with `arg`.
    pub fn call<K: ToRedisArgs>(&'static self, keys: &[K]) -> Call {
        let mut tail = Cmd::new();
        tail.arg(keys.len()).arg(keys);
        Call { script: self, tail }
    }

    fn hash(&self) -> &str {
        self.hash.get_or_init(|| redis::Script::new(self.code).get_hash().to_owned())
    }
}

/// One call of a script, ready to be sent.
pub struct Call {
    script: &'static Script,
    /// The number of keys, the keys, the arguments.
    tail: Cmd,
}

impl Call {
    #[must_use]
    pub fn arg<A: ToRedisArgs>(mut self, arg: A) -> Self {
        self.tail.arg(arg);
        self
    }

    /// By hash, as Redis most often knows it.
    pub(super) fn by_hash(&self) -> Cmd {
        self.command("EVALSHA", self.script.hash())
    }

    /// With its code, which Redis keeps from then on.
    pub(super) fn with_code(&self) -> Cmd {
        self.command("EVAL", self.script.code)
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut cmd = redis::cmd(name);
        cmd.arg(script);
        for arg in self.tail.args_iter() {
            if let redis::Arg::Simple(arg) = arg {
                cmd.arg(arg);
            }
        }
        cmd
    }
}
