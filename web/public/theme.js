// Sets the theme that the person chose. A plain script of its own: it must run before the first paint.
try {
  const theme = localStorage.getItem('aim.theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // Storage is blocked: the system's theme it is.
}
