import { describe, expect, it } from 'vitest';
import { answerHttp, looksLikeHttp } from '../../../src/servers/rtmp/http-answer.ts';

describe('looksLikeHttp', () => {
  it.each(['GET / HTTP/1.1', 'POST /x', 'HEAD /', 'PUT /', 'OPTIONS *'])('%s', (request) => {
    expect(looksLikeHttp(Buffer.from(request))).toBe(true);
  });

  it.each(['\u0003\0\0\0', 'GET', 'GETX', 'get / HTTP/1.1', '', '\u0016\u0003\u0001\u0002'])(
    'not %j',
    (bytes) => {
      expect(looksLikeHttp(Buffer.from(bytes, 'latin1'))).toBe(false);
    },
  );
});

describe('answerHttp', () => {
  function answer(headers: string, port: number | null = 8080): string {
    return answerHttp(Buffer.from(`GET / HTTP/1.1\r\n${headers}\r\n`), port).toString();
  }

  it('is a whole response of one line', () => {
    const line = 'This port speaks RTMP, not HTTP. The player page is at http://gateway.example:8080/\n';
    expect(answer('Host: gateway.example:1935\r\nAccept: */*\r\n')).toBe(
      'HTTP/1.1 400 Bad Request\r\n' +
        'Content-Type: text/plain; charset=utf-8\r\n' +
        `Content-Length: ${line.length}\r\n` +
        'Connection: close\r\n' +
        '\r\n' +
        line,
    );
  });

  it.each([
    ['Host: h\r\n', 'h'],
    ['host:   h.example:1935  \r\n', 'h.example'],
    ['Accept: */*\r\nHOST: 192.0.2.1:1935\r\n', '192.0.2.1'],
    ['Host: [2001:db8::1]:1935\r\n', '[2001:db8::1]'],
    ['', 'localhost'],
    ['Host: <script>alert(1)</script>\r\n', 'localhost'],
    ['Host: h" onload="x\r\n', 'localhost'],
    ['Host: user@evil\r\n', 'localhost'],
    ['X-Host: evil\r\n', 'localhost'],
  ])('repeats the host of %j as %s', (headers, host) => {
    expect(answer(headers)).toContain(`The player page is at http://${host}:8080/\n`);
  });

  it('names no page where there is none', () => {
    expect(answer('Host: h\r\n', null)).toMatch(/\r\n\r\nThis port speaks RTMP, not HTTP\.\n$/);
  });
});
