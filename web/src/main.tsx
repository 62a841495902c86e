import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app/app';
import { openSession } from './app/session';
import './styles/tokens.css';
import './styles/base.css';
import './styles/controls.css';
import './styles/shell.css';
import './styles/pages.css';
import './styles/cards.css';
import './styles/editor.css';
import './styles/personas.css';
import './styles/chat.css';
import './styles/composer.css';
import './styles/rooms.css';
import './styles/threads.css';
import './styles/gallery.css';
import './styles/safety.css';

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no #root');
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
void openSession();
