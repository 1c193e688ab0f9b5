import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import 'uplot/dist/uPlot.min.css';
import { App } from './app.tsx';
import './style.css';

const root = document.getElementById('root');
if (!root) throw new Error('index.html must have an element with the id root');
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
