import { basename, dirname, resolve } from 'node:path';
import { watch } from 'chokidar';

/** Editors and ConfigMaps write in several steps: the file is read when it has been quiet for this long. */
const SETTLE_MS = 200;

export interface ConfigWatch {
  /** The file was changed, replaced, removed or made. */
  readonly onChange: () => void;
  /** The file is not watched any more, or not well. */
  readonly onError: (error: unknown) => void;
  /** Changes are seen from here on. */
  readonly onReady?: () => void;
}

/**
 * Watches the folder rather than the file, because editors and Kubernetes replace files instead of writing into them.
 *
 * @returns stops watching
 */
export function watchConfigFile(
  file: string,
  { onChange, onError, onReady = () => {} }: ConfigWatch,
): () => Promise<void> {
  const folder = resolve(dirname(file));
  // Kubernetes swaps the link ..data beside the file and leaves the file's own name alone.
  const names = new Set([basename(file), '..data']);
  let timer: NodeJS.Timeout | null = null;
  const watcher = watch(folder, {
    ignoreInitial: true,
    depth: 0,
    // Each file that is watched costs a descriptor, and the folder may be full of others.
    ignored: (path) => resolve(path) !== folder && !names.has(basename(path)),
  });
  watcher.on('error', onError);
  watcher.once('ready', onReady);
  watcher.on('all', () => {
    if (timer !== null) clearTimeout(timer);
    timer = setTimeout(onChange, SETTLE_MS);
  });
  return async () => {
    if (timer !== null) clearTimeout(timer);
    await watcher.close();
  };
}
