// Takes files that are dropped on a served page or chosen, sends them to its server, and goes to the comparison.
for (const bar of document.querySelectorAll('[data-drop]')) takeFiles(/** @type {HTMLElement} */ (bar));

/** @typedef {{ name: string, file: File }} Named */

/** @param {HTMLElement} bar */
function takeFiles(bar) {
  const status = /** @type {HTMLElement} */ (bar.querySelector('[role="status"]'));
  const field = /** @type {HTMLInputElement} */ (bar.querySelector('input'));
  const mostBytes = Number(bar.dataset['drop']);
  // The first step of the path is the token, which each address needs.
  const root = new URL(`/${location.pathname.split('/')[1]}/`, location.href);

  field.addEventListener('change', () => send([...(field.files ?? [])].map((file) => ({ name: file.name, file }))));
  document.addEventListener('dragover', (event) => {
    event.preventDefault();
    document.body.classList.add('is-over');
  });
  document.addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) document.body.classList.remove('is-over');
  });
  document.addEventListener('drop', async (event) => {
    event.preventDefault();
    document.body.classList.remove('is-over');
    // Entries are gone once this handler has waited for something.
    const entries = [...(event.dataTransfer?.items ?? [])].map((item) => item.webkitGetAsEntry());
    const files = await Promise.all(entries.filter((entry) => entry !== null).map((entry) => filesOf(entry, '')));
    await send(files.flat());
  });

  /** @param {Named[]} files */
  async function send(files) {
    if (files.length === 0) return;
    const bytes = files.reduce((sum, { file }) => sum + file.size, 0);
    if (bytes > mostBytes) return tell(`${megabytes(bytes)} are too many: use mbert view MODEL OTHER.`);
    const drop = crypto.randomUUID();
    for (const { name, file } of files) {
      tell(`Reading ${name}, ${megabytes(file.size)} …`);
      const to = new URL(`files/${drop}/${encodeURIComponent(name)}`, root);
      try {
        const response = await fetch(to, { method: 'PUT', body: file });
        if (!response.ok) return tell(await response.text());
      } catch {
        return tell(`${name} could not be sent: has mbert view ended?`);
      }
    }
    tell('Comparing …');
    location.href = String(new URL(`diff?drop=${drop}`, root));
  }

  /** @param {string} text */
  function tell(text) {
    status.textContent = text;
  }
}

/** Files of an entry and of the folders in it, with the folders' names before theirs. @type {(entry: FileSystemEntry, folder: string) => Promise<Named[]>} */
async function filesOf(entry, folder) {
  const name = folder + entry.name;
  if (entry.isFile) {
    const file = await new Promise((done, failed) => /** @type {FileSystemFileEntry} */ (entry).file(done, failed));
    return [{ name, file }];
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  /** @type {Named[]} */
  const files = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const entries = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (entries.length === 0) return files;
    for (const each of entries) files.push(...(await filesOf(each, `${name}/`)));
  }
}

/** @param {number} bytes */
function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
