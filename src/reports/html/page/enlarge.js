// Plots and the graph fill the screen by their buttons; where a browser has no full screen for them, its window.
for (const button of document.querySelectorAll('[data-enlarge]')) {
  const part = /** @type {HTMLElement} */ (button.closest('figure, [data-picture]'));
  button.addEventListener('click', async () => {
    if (document.fullscreenElement === part) return document.exitFullscreen();
    if (part.classList.contains('is-full')) return setFull(part, false);
    try {
      await part.requestFullscreen();
    } catch {
      setFull(part, true);
    }
  });
}

document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape') return;
  for (const part of document.querySelectorAll('.is-full')) setFull(/** @type {HTMLElement} */ (part), false);
});

/** @type {(part: HTMLElement, isFull: boolean) => void} */
function setFull(part, isFull) {
  part.classList.toggle('is-full', isFull);
  document.body.classList.toggle('has-full', isFull);
}
