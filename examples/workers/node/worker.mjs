// A worker that takes over aim's queue `ai-response`: it generates replies with any OpenAI-compatible server. The server of
// aim that added a job claims the message, listens, and stores the reply. docs/queues.md describes both sides.
//
//   AIM_WORKERS__FOREIGN=ai-response aim serve
//   REDIS_URL=redis://127.0.0.1 OPENAI_BASE_URL=http://127.0.0.1:8081/v1 OPENAI_MODEL=llama3 npm start

import { UnrecoverableError, Worker } from 'bullmq';
import Redis from 'ioredis';

const {
  REDIS_URL = 'redis://127.0.0.1:6379',
  QUEUE_PREFIX = 'aim',
  OPENAI_BASE_URL = 'https://api.openai.com/v1',
  OPENAI_API_KEY = '',
  OPENAI_MODEL = 'gpt-4o-mini',
  CONCURRENCY = '20',
  // How long a killed worker's jobs lie before another takes them, in ms.
  LOCK_DURATION = '10000',
} = process.env;

/** Between two deltas, in ms. */
const PACE = 40;

/** The events of a streamed completion: `{text}` as it comes, `{usage}` at the end. */
async function* complete(data, signal) {
  const answer = await fetch(`${OPENAI_BASE_URL}/chat/completions`, {
    method: 'POST',
    signal,
    headers: { 'content-type': 'application/json', authorization: `Bearer ${OPENAI_API_KEY}` },
    body: JSON.stringify({
      model: OPENAI_MODEL,
      messages: data.messages,
      max_tokens: data.maxTokens,
      temperature: data.temperature,
      stream: true,
      stream_options: { include_usage: true },
    }),
  });
  if (!answer.ok) {
    await answer.body?.cancel();
    const message = `the model answered ${answer.status}`;
    // What will fail again is not tried again.
    throw answer.status < 500 && answer.status !== 429 ? new UnrecoverableError(message) : new Error(message);
  }
  let rest = '';
  for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      const event = line.startsWith('data:') ? line.slice(5).trim() : '';
      if (event === '[DONE]') return;
      if (!event) continue;
      const { choices, usage } = JSON.parse(event);
      if (choices?.[0]?.delta?.content) yield { text: choices[0].delta.content };
      if (usage) yield { usage };
    }
  }
  throw new Error('the model broke off');
}

async function generate(job, token, aborted) {
  if (job.name !== 'generate' || !job.data.messages) throw new UnrecoverableError('this job asks for no reply');
  // A job that aim took back (somebody pressed stop, or another server has the message now) is gone: telling of it fails, and
  // so does renewing its lock.
  const gone = new AbortController();
  const signal = AbortSignal.any([aborted, gone.signal, AbortSignal.timeout(job.data.timeout)]);
  let text = '';
  let told = 0;
  let usage;
  let telling;
  const tell = async () => {
    while (told < text.length && !signal.aborted) {
      const offset = told;
      told = text.length;
      // A length of text in JavaScript is one of UTF-16 code units, as `offset` is.
      await job.updateProgress({ delta: text.slice(offset), offset });
      await new Promise((done) => { setTimeout(done, PACE); });
    }
  };
  try {
    for await (const event of complete(job.data, signal)) {
      usage = event.usage ?? usage;
      text += event.text ?? '';
      telling ??= tell().catch((error) => gone.abort(error)).finally(() => { telling = undefined; });
    }
  } catch (error) {
    if (signal.aborted) throw new UnrecoverableError('nobody waits for this reply any more, or it took too long');
    // A reply that was heard in part is not tried again: it would be paid for twice.
    throw text ? new UnrecoverableError(error.message) : error;
  } finally {
    await telling;
  }
  // What is returned is the reply, whatever was told on the way.
  return {
    text,
    model: `openai/${OPENAI_MODEL}`,
    ...(usage ? { usage: { prompt: usage.prompt_tokens, completion: usage.completion_tokens } } : {}),
  };
}

const connection = new Redis(REDIS_URL, { maxRetriesPerRequest: null });
const worker = new Worker('ai-response', generate, {
  connection,
  prefix: QUEUE_PREFIX,
  concurrency: Number(CONCURRENCY),
  lockDuration: Number(LOCK_DURATION),
  stalledInterval: Number(LOCK_DURATION) / 2,
});
worker.on('lockRenewalFailed', (ids) => ids.forEach((id) => worker.cancelJob(id, 'it was taken back')));
worker.on('failed', (job, error) => console.error(`${job?.id} failed: ${error.message}`));
worker.on('error', (error) => console.error(error.message));
await worker.waitUntilReady();
console.log('working');

// Takes no more, waits for the replies under way, and ends.
let ending = false;
for (const name of ['SIGTERM', 'SIGINT']) {
  process.on(name, async () => {
    if (ending) return;
    ending = true;
    await worker.close();
    await connection.quit();
    console.log('ended');
  });
}
