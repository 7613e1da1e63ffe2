import { spawn } from 'node:child_process';

/** Programs that open an address in the user's browser, none of them by way of a shell. Elsewhere it is xdg-open. */
const OPENERS: { readonly [P in NodeJS.Platform]?: readonly [string, ...string[]] } = {
  darwin: ['open'],
  win32: ['rundll32', 'url.dll,FileProtocolHandler'],
};

/** Opens an address in the browser. `failed` is called where none can be started, as on a server without a display. */
export function openBrowser(url: string, failed: () => void, variables: NodeJS.ProcessEnv = process.env): void {
  const [program, ...words] = OPENERS[process.platform] ?? ['xdg-open'];
  // Without a display xdg-open would start a browser for terminals, over the command's own output.
  const hasDisplay = ['DISPLAY', 'WAYLAND_DISPLAY', 'WSL_DISTRO_NAME'].some((name) => variables[name]);
  if (program === 'xdg-open' && !hasDisplay) {
    failed();
    return;
  }
  const child = spawn(program, [...words, url], { stdio: 'ignore', detached: true, env: variables });
  child.on('error', failed);
  child.on('exit', (code) => {
    if (code !== 0) failed();
  });
  child.unref();
}
