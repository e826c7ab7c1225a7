import { STATUS_CODES } from 'node:http';
import { ERRORS, type ErrorCode } from '../../media/errors.ts';
import type { CrowdLog } from '../crowd-log.ts';

/** Players ask for streams that have not begun; only this many in ten seconds are news. */
const MISSES_WORTH_A_LINE = 1000;
/** Browsers open connections that they never use; only this many in ten seconds are news. */
const SILENT_WORTH_A_LINE = 100;

/** What goes wrong with HTTP requests, for the log. Addresses of requests stay out of it: they may carry tokens. */
export interface HttpIncidents {
  /** There is nothing at the address. */
  missing(peer: string): void;
  /** The client's own mistake. */
  refused(peer: string, status: number): void;
  /** An access rule does not let it in. */
  denied(peer: string, code: ErrorCode): void;
  /** Disconnected in the middle of an answer, because it does not read. */
  unread(peer: string): void;
  /** Disconnected because nothing ever came. */
  silent(peer: string): void;
  /** One connection more than there are file descriptors for. */
  crowded(peer: string): void;
  /** Ours. */
  fault(error: Error): void;
}

export function httpIncidents(crowd: CrowdLog<'info' | 'warn' | 'error'>): HttpIncidents {
  return {
    missing: (peer) =>
      crowd.note({
        level: 'warn',
        kind: 'http missing',
        peer,
        fields: { peer, code: 'SLUICE_HTTP_NOT_FOUND' },
        message: `${MISSES_WORTH_A_LINE} HTTP requests within ten seconds for what does not exist`,
        worthALine: MISSES_WORTH_A_LINE,
      }),
    refused: (peer, status) =>
      crowd.note({
        level: 'info',
        kind: `http ${status}`,
        peer,
        fields: { peer, code: 'SLUICE_HTTP_BAD_REQUEST', status },
        message: `HTTP request refused: ${STATUS_CODES[status] ?? status}`,
      }),
    denied: (peer, code) =>
      crowd.note({
        level: 'warn',
        kind: `http ${code}`,
        peer,
        fields: { peer, code },
        message: 'HTTP request denied',
      }),
    unread: (peer) =>
      crowd.note({
        level: 'info',
        kind: 'http unread',
        peer,
        fields: { peer, code: 'SLUICE_HTTP_UNREAD' },
        message: 'viewer disconnected: it does not read what it asked for',
      }),
    silent: (peer) =>
      crowd.note({
        level: 'warn',
        kind: 'http silent',
        peer,
        fields: { peer, code: 'SLUICE_HTTP_SILENT' },
        message: `${SILENT_WORTH_A_LINE} HTTP connections within ten seconds on which nothing was asked`,
        worthALine: SILENT_WORTH_A_LINE,
      }),
    crowded: (peer) =>
      crowd.note({
        level: 'warn',
        kind: 'http crowded',
        peer,
        fields: { peer, code: 'SLUICE_DESCRIPTORS_EXHAUSTED', fix: ERRORS.SLUICE_DESCRIPTORS_EXHAUSTED },
        message:
          'HTTP connection refused: the file descriptors that are left are for publishers and segments',
      }),
    fault: (error) =>
      crowd.note({
        level: 'error',
        kind: 'http fault',
        fields: { code: 'SLUICE_INTERNAL', err: error },
        message: 'an HTTP request failed',
      }),
  };
}
