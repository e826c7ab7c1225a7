const METHODS = ['GET ', 'POST', 'HEAD', 'PUT ', 'OPTI'];
const HOST_HEADER = /^host:[ \t]*([a-z0-9.-]+|\[[0-9a-f:]+\])(?::\d+)?[ \t]*\r?$/im;

/** A browser or a health check on the RTMP port. */
export function looksLikeHttp(bytes: Buffer): boolean {
  return METHODS.includes(bytes.toString('latin1', 0, 4));
}

/** One line that says where the page is, in a response any HTTP client shows. */
export function answerHttp(request: Buffer, httpPort: number | null): Buffer {
  const host = HOST_HEADER.exec(request.toString('latin1', 0, 4096))?.[1] ?? 'localhost';
  const line =
    httpPort === null
      ? 'This port speaks RTMP, not HTTP.\n'
      : `This port speaks RTMP, not HTTP. The player page is at http://${host}:${httpPort}/\n`;
  const head = [
    'HTTP/1.1 400 Bad Request',
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(line)}`,
    'Connection: close',
  ];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${line}`);
}
