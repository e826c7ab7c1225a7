import type { CrowdLog } from './crowd-log.ts';
import { codeOfStoreError } from './store-outage.ts';

/** What goes wrong around streams and is no stream's own event, for the log. */
export interface GatewayIncidents {
  /** A stream had to make room for one of another address. */
  displaced(stream: string, peer: string, maxStreams: number): void;
  /** The callback was no help, and its fail policy decided. */
  callbackFailed(action: string, stream: string, reason: string, allowed: boolean): void;
  /** What cannot be deleted is tried again by the cleaning, and what cannot be read by players. */
  segmentFailed(stream: string, segment: string, action: 'get' | 'delete', error: unknown): void;
  /** Who asks the gateway notices nothing: it answers playlists from memory, and states are for a restart. */
  fileFailed(kind: 'state' | 'playlist', file: string, error: unknown): void;
}

export function gatewayIncidents(crowd: CrowdLog<'info' | 'warn' | 'error'>): GatewayIncidents {
  return {
    displaced: (stream, peer, maxStreams) =>
      crowd.note({
        level: 'warn',
        kind: 'stream displaced',
        peer,
        fields: { stream, peer, code: 'SLUICE_RTMP_LIMIT' },
        message: `stream closed for one of another address: ${maxStreams} exist already, and most are of this one`,
      }),
    callbackFailed: (action, stream, reason, allowed) =>
      crowd.note({
        level: 'warn',
        kind: `callback ${action} ${allowed}`,
        fields: { stream, code: 'SLUICE_CALLBACK_FAILED', reason },
        message: `the ${action} callback failed, so it was ${allowed ? 'allowed' : 'refused'}`,
      }),
    segmentFailed: (stream, segment, action, error) => {
      const done = action === 'get' ? 'read' : 'deleted';
      crowd.note({
        level: 'warn',
        kind: `segment not ${done}`,
        fields: { stream, segment, code: codeOfStoreError(error), reason: reasonOf(error) },
        message: `a segment could not be ${done}`,
      });
    },
    fileFailed: (kind, file, error) =>
      crowd.note({
        level: 'warn',
        kind: `${kind} file`,
        fields: { file, code: codeOfStoreError(error), reason: reasonOf(error) },
        message:
          kind === 'state'
            ? 'a state file cannot be read or written; streams go on without'
            : 'a playlist file cannot be written',
      }),
  };
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
