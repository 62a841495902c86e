/** Says plainly that the small built-in model answers, and how to connect a better one. */
import { useState } from 'react';
import { serverConfig } from '../app/session';
import { createStore, useStore } from '../lib/store';
import { recall, remember } from '../lib/storage';
import { Dialog } from './dialog';
import { Icon } from './icons';

const hidden = createStore(recall('demo-notice') === 'read');

function hide(): void {
  hidden.set(true);
  remember('demo-notice', 'read');
}

/** The notice across the conversation, until one has read it. */
export function DemoBanner() {
  const isDemo = useStore(serverConfig)?.demo === true;
  const isHidden = useStore(hidden);
  const [open, setOpen] = useState(false);
  if (!isDemo || isHidden) return null;
  return (
    <div className="banner">
      <span>A small demo model answers here.</span>
      <button type="button" className="link-button" onClick={() => setOpen(true)}>
        Connect a better one
      </button>
      <button type="button" className="link-button" onClick={hide}>
        Got it
      </button>
      {open && <DemoDialog onClose={() => setOpen(false)} />}
    </div>
  );
}

/** What stays once the notice was read. */
export function DemoChip() {
  const isDemo = useStore(serverConfig)?.demo === true;
  const isHidden = useStore(hidden);
  const [open, setOpen] = useState(false);
  if (!isDemo || !isHidden) return null;
  return (
    <>
      <button type="button" className="demo-chip" onClick={() => setOpen(true)}>
        <span>Demo model</span>
      </button>
      {open && <DemoDialog onClose={() => setOpen(false)} />}
    </>
  );
}

const EXAMPLE = `AIM_AI__PROVIDER=openai
AIM_AI__BASE_URL=http://127.0.0.1:11434/v1
AIM_AI__MODEL=your-model
AIM_AI__API_KEY=your-key`;

function DemoDialog({ onClose }: { onClose: () => void }) {
  const model = useStore(serverConfig)?.model;
  return (
    <Dialog title="Connect a better model" onClose={onClose}>
      <p>
        {model ? <>The built-in model {model} answers now. </> : null}
        It runs on this machine and needs nothing else, but it is far too small to stay in character for long.
        The one who runs this server can name a better model with four variables, and start the server again:
      </p>
      <pre className="code">{EXAMPLE}</pre>
      <p>
        <code>AIM_AI__PROVIDER</code> is <code>openai</code> for everything that speaks its protocol, a model
        on your own machine too, or <code>anthropic</code>, <code>gemini</code> or <code>ollama</code>.{' '}
        <code>AIM_AI__BASE_URL</code> includes the version. The key stays on the server.
      </p>
      <div className="dialog__actions">
        <button type="button" className="button button--primary" onClick={onClose}>
          <Icon name="check" /> Understood
        </button>
      </div>
    </Dialog>
  );
}
