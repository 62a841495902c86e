//! The built-in model: a small one in this process, so that a first run needs nothing else. It answers on a thread of
//! its own, one reply at a time; the others wait in order, and whoever stops waiting makes room at once.

mod generate;
mod weights;

use crate::model::{ErrorKind, LanguageModel, ModelError, ModelName, Piece, ReplyStream, Request};
use crate::tokens::TokenBudget;
use aim_domain::Ambient;
use async_trait::async_trait;
use futures::stream::{self, StreamExt};
use generate::Generator;
use parking_lot::Mutex;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

#[derive(Clone, Debug)]
pub struct LocalSettings {
    /// A GGUF file of the llama family with its tokenizer and chat template inside.
    pub file: PathBuf,
    /// Most tokens of a reply, whatever the request allows: small models wander off.
    pub reply_tokens: u32,
    /// Tokens of prompt and reply together; a hundred take about a second to read, so it is kept small.
    pub window: u32,
    /// Replies that may wait for the one under way.
    pub waiting: usize,
    /// Longest wait for it.
    pub queue_timeout: Duration,
}

impl LocalSettings {
    pub fn new(file: PathBuf) -> Self {
        Self { file, reply_tokens: 100, window: 768, waiting: 64, queue_timeout: Duration::from_secs(120) }
    }
}

/// Makes the model's arithmetic run on its own thread alone, unless `CANDLE_NUM_THREADS` says otherwise: spread over
/// cores it spins while it waits, and on a machine that has other work is slower by far. To be called first thing in
/// `main`, while the process has but one thread.
#[allow(unsafe_code)]
pub fn limit_threads() {
    const THREADS: &str = "CANDLE_NUM_THREADS";
    if std::env::var_os(THREADS).is_none() {
        // SAFETY: by this function's contract no other thread runs that could read the environment meanwhile.
        unsafe { std::env::set_var(THREADS, "1") };
    }
}

/// How far the model is; shared with its thread.
#[derive(Clone)]
enum Phase {
    Loading,
    Ready,
    Failed(ModelError),
}

struct Job {
    request: Request,
    seed: u64,
    /// Closed by whoever does not want the reply any more.
    out: mpsc::Sender<Result<Piece, ModelError>>,
    /// Lets the next job in when this one is over.
    _turn: OwnedSemaphorePermit,
}

pub struct LocalModel {
    name: ModelName,
    settings: LocalSettings,
    jobs: mpsc::Sender<Job>,
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    phase: Arc<Mutex<Phase>>,
    ambient: Ambient,
    /// The model's thread: a pool of one, since its arithmetic would spread over all cores otherwise, and be slower.
    _thread: rayon::ThreadPool,
}

impl LocalModel {
    /// Begins to load in the background. A file that is missing now may be there later: every request looks again.
    pub fn start(settings: LocalSettings, ambient: Ambient) -> Result<Self, ModelError> {
        let thread = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .thread_name(|_| "aim-model".to_owned())
            .build()
            .map_err(|error| ModelError::bad(format!("the model's thread could not be started: {error}")))?;
        // One: the semaphore lets no more in.
        let (jobs, queue) = mpsc::channel(1);
        let phase = Arc::new(Mutex::new(Phase::Loading));
        let worker = Worker { settings: settings.clone(), phase: phase.clone(), generator: None };
        thread.spawn(move || worker.run(queue));
        let model = settings.file.file_stem().map_or_else(|| "demo".into(), |stem| stem.to_string_lossy());
        Ok(Self {
            name: ModelName { provider: "local", model: model.into() },
            jobs,
            turns: Arc::new(Semaphore::new(1)),
            waiting: AtomicUsize::new(0),
            phase,
            ambient,
            settings,
            _thread: thread,
        })
    }

    /// Waits for the reply under way to end; first come, first served.
    async fn turn(&self) -> Result<OwnedSemaphorePermit, ModelError> {
        struct Waiting<'a>(&'a AtomicUsize);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        let busy = || ModelError::new(ErrorKind::Overloaded, "the built-in model has too many replies to give");
        if before > self.settings.waiting {
            return Err(busy());
        }
        let turn = timeout(self.settings.queue_timeout, self.turns.clone().acquire_owned()).await;
        turn.ok().and_then(Result::ok).ok_or_else(busy)
    }
}

#[async_trait]
impl LanguageModel for LocalModel {
    fn name(&self) -> &ModelName {
        &self.name
    }

    fn budget(&self) -> TokenBudget {
        TokenBudget::new(self.settings.window.into(), self.settings.reply_tokens.into())
    }

    async fn stream(&self, mut request: Request) -> Result<ReplyStream, ModelError> {
        request.max_tokens = request.max_tokens.min(self.settings.reply_tokens);
        let turn = self.turn().await?;
        let seed = request.seed.unwrap_or_else(|| {
            let mut bytes = [0; 8];
            self.ambient.random.fill(&mut bytes);
            u64::from_le_bytes(bytes)
        });
        // Room for every token and the end, so that a slow reader never holds up the thread.
        let (out, mut pieces) = mpsc::channel(request.max_tokens as usize + 4);
        let gone = || ModelError::new(ErrorKind::Interrupted, "the built-in model has stopped");
        self.jobs.send(Job { request, seed, out, _turn: turn }).await.map_err(|_| gone())?;
        let first = pieces.recv().await.unwrap_or_else(|| Err(gone()))?;
        let rest = stream::unfold(pieces, |mut pieces| async move { pieces.recv().await.map(|piece| (piece, pieces)) });
        Ok(stream::iter([Ok(first)]).chain(rest).boxed())
    }

    async fn check(&self) -> Result<(), ModelError> {
        match &*self.phase.lock() {
            Phase::Loading => Err(ModelError::new(ErrorKind::Overloaded, "the built-in model is loading")),
            Phase::Ready => Ok(()),
            // It may have been fetched since.
            Phase::Failed(error) if self.settings.file.exists() && is_missing(error) => {
                Err(ModelError::new(ErrorKind::Overloaded, "the built-in model will be loaded for the next reply"))
            }
            Phase::Failed(error) => Err(error.clone()),
        }
    }
}

fn missing(file: &Path) -> ModelError {
    ModelError::bad(format!(
        "the built-in model's file {} is missing: run `make model`, or set AIM_AI__PROVIDER to another",
        file.display()
    ))
}

fn is_missing(error: &ModelError) -> bool {
    error.detail.contains("is missing")
}

/// What runs on the model's thread.
struct Worker {
    settings: LocalSettings,
    phase: Arc<Mutex<Phase>>,
    generator: Option<Generator>,
}

impl Worker {
    fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        if let Err(error) = self.load() {
            tracing::warn!(%error, "the built-in model is not there");
        }
        while let Some(job) = queue.blocking_recv() {
            if job.out.is_closed() {
                continue;
            }
            // A panic in the arithmetic costs one reply, not the thread.
            let outcome = catch_unwind(AssertUnwindSafe(|| self.answer(&job))).unwrap_or_else(|_| {
                self.generator = None;
                Err(ModelError::new(ErrorKind::Interrupted, "the built-in model failed"))
            });
            if let Err(error) = outcome {
                let _ = job.out.try_send(Err(error));
            }
        }
    }

    fn answer(&mut self, job: &Job) -> Result<(), ModelError> {
        let generator = self.load()?;
        generator.answer(&job.request, job.seed, |piece| job.out.try_send(Ok(piece)).is_ok(), || job.out.is_closed())
    }

    /// The generator, loaded if it was not.
    fn load(&mut self) -> Result<&mut Generator, ModelError> {
        if self.generator.is_none() {
            let (start, file) = (Instant::now(), &self.settings.file);
            let loaded = if file.exists() { weights::load(file) } else { Err(missing(file)) };
            match loaded {
                Ok(weights) => {
                    self.generator = Some(Generator::new(weights, self.settings.window as usize));
                    *self.phase.lock() = Phase::Ready;
                    tracing::info!(file = %file.display(), seconds = start.elapsed().as_secs_f64(), "the built-in model is ready");
                }
                Err(error) => *self.phase.lock() = Phase::Failed(error.clone()),
            }
        }
        match (&mut self.generator, &*self.phase.lock()) {
            (Some(generator), _) => Ok(generator),
            (None, Phase::Failed(error)) => Err(error.clone()),
            (None, _) => Err(ModelError::new(ErrorKind::Interrupted, "the built-in model failed")),
        }
    }
}
