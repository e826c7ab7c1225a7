import { basename, dirname } from 'node:path';
import { watch } from 'chokidar';

/** Editors and ConfigMaps write in several steps: the file is read when it has been quiet for this long. */
const SETTLE_MS = 200;

/**
 * Calls `onChange` after the file was changed or replaced. The folder is watched rather than the file, because editors
 * and Kubernetes replace files instead of writing into them.
 *
 * @returns stops watching
 */
export function watchConfigFile(file: string, onChange: () => void): () => Promise<void> {
  let timer: NodeJS.Timeout | null = null;
  const watcher = watch(dirname(file), { ignoreInitial: true, depth: 0, followSymlinks: true });
  watcher.on('all', (_event, path) => {
    // Kubernetes swaps the link ..data beside the file and leaves the file's own name alone.
    if (basename(path) !== basename(file) && basename(path) !== '..data') return;
    if (timer !== null) clearTimeout(timer);
    timer = setTimeout(onChange, SETTLE_MS);
  });
  return async () => {
    if (timer !== null) clearTimeout(timer);
    await watcher.close();
  };
}
