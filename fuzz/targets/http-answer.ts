import { answerHttp, looksLikeHttp } from '../../src/servers/rtmp/http-answer.ts';
import { check } from '../support/tolerate.ts';

/** The first bytes of somebody who speaks HTTP to the RTMP port. */
export const maxLength = 5000;

export function fuzz(data: Buffer): void {
  looksLikeHttp(data);
  const [head = '', body = '', more] = answerHttp(data, 8080).toString('latin1').split('\r\n\r\n');
  check(more === undefined && /^HTTP\/1\.1 400 /.test(head), 'another response inside ours');
  check(head.split('\r\n').length === 4, 'a header of the client in ours');
  check(/^[^\r\n<>"']+\n$/.test(body), `body ${body}`);
  check(head.includes(`Content-Length: ${body.length}\r\n`), 'wrong length');
}
