import { createHash } from 'node:crypto';
import { SluiceError } from '../media/errors.ts';

/**
 * Names become URL paths and file names, so only characters that mean nothing to either are let in. This excludes
 * path traversal, control characters and everything that needs escaping.
 */
const PART = /^[A-Za-z0-9~_-][A-Za-z0-9~._-]*$/;
const MAX_LENGTH = 128;
const MAX_APP_PARTS = 4;
/** File systems take names of 255 bytes, and suffixes need some of them. */
const MAX_FOLDER_LENGTH = 200;

export interface StreamPath {
  readonly app: string;
  readonly name: string;
  /** Parameters after `?` in the application or the key: tokens, never part of the name. */
  readonly query: string;
}

/**
 * Splits what an encoder sent as application and stream key into a path. Encoders put the query in either of them,
 * and some put the whole path into the application and leave the key empty.
 *
 * @throws SluiceError SLUICE_RTMP_BAD_NAME
 */
export function parseStreamPath(app: string, key: string): StreamPath {
  const [appPath = '', appQuery = ''] = splitOnce(app, '?');
  const [keyPath = '', keyQuery = ''] = splitOnce(key, '?');
  const parts = [...appPath.split('/'), ...keyPath.split('/')].filter((part) => part !== '');
  const name = parts.pop();
  if (name === undefined || parts.length === 0) {
    throw new SluiceError('SLUICE_RTMP_BAD_NAME', 'the application or the stream key is missing');
  }
  const joined = parts.join('/');
  const allowed = [...parts, name].every((part) => PART.test(part));
  if (!allowed || name.length > MAX_LENGTH || joined.length > MAX_LENGTH || parts.length > MAX_APP_PARTS) {
    throw new SluiceError(
      'SLUICE_RTMP_BAD_NAME',
      'the application or stream name has characters that are not allowed',
    );
  }
  return { app: joined, name, query: [appQuery, keyQuery].filter((query) => query !== '').join('&') };
}

/** Whether a stream can have this application and this name. */
export function isStreamPath(app: string, name: string): boolean {
  try {
    const path = parseStreamPath(app, name);
    return path.app === app && path.name === name && path.query === '';
  } catch {
    return false;
  }
}

/**
 * The one folder name of a stream wherever its files are kept. `@` cannot occur in a name, so no two streams share a
 * folder; of a path too long for a file system the end becomes a hash.
 */
export function streamFolder(app: string, name: string): string {
  const folder = `${app}/${name}`.replaceAll('/', '@');
  if (folder.length <= MAX_FOLDER_LENGTH) return folder;
  const hash = createHash('sha256').update(folder).digest('hex').slice(0, 32);
  return `${folder.slice(0, MAX_FOLDER_LENGTH - hash.length - 2)}@@${hash}`;
}

function splitOnce(text: string, separator: string): string[] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + separator.length)];
}
