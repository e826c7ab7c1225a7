import type { ConfigInput } from '../../src/config/schema.ts';
import { createGateway } from '../../src/gateway.ts';
import type { Gateway } from '../../src/gateway-interface.ts';
import type { StreamView } from '../../src/servers/http/stream-view.ts';
import { until } from './until.ts';

export interface LogLine {
  readonly level: 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: Record<string, unknown>;
}

/** A gateway on free ports of this computer. */
export interface TestGateway {
  readonly gateway: Gateway;
  readonly rtmpPort: number;
  /** With a slash at the end. */
  readonly httpUrl: string;
  readonly log: readonly LogLine[];
  /** Where an encoder publishes. */
  rtmp(key: string, app?: string): string;
  /** Multivariant playlist of a stream of the default application. */
  hls(name: string): string;
  /** The stream as the API shows it over HTTP. */
  stream(name: string, app?: string): Promise<StreamView | undefined>;
  /** Waits for a stream that fits. */
  streamWhen(name: string, fits: (stream: StreamView) => boolean, withinMs?: number): Promise<StreamView>;
  stop(): Promise<void>;
}

export async function startGateway(config: ConfigInput = {}): Promise<TestGateway> {
  const log: LogLine[] = [];
  const write = (level: LogLine['level']) => (fields: Record<string, unknown>, message: string) => {
    log.push({ level, message, fields });
  };
  const gateway = createGateway(
    { ...config, host: '127.0.0.1', rtmp: { port: 0, ...config.rtmp }, http: { port: 0, ...config.http } },
    { logger: { info: write('info'), warn: write('warn'), error: write('error') } },
  );
  const { rtmpPort, httpPort } = await gateway.start();
  if (rtmpPort === null || httpPort === null) throw new Error('the gateway did not open both ports');
  const httpUrl = `http://127.0.0.1:${httpPort}/`;
  const stream = async (name: string, app = 'live') =>
    (await listStreams(httpUrl)).find((candidate) => candidate.name === name && candidate.app === app);
  return {
    gateway,
    rtmpPort,
    httpUrl,
    log,
    rtmp: (key, app = 'live') => `rtmp://127.0.0.1:${rtmpPort}/${app}/${key}`,
    hls: (name) => `${httpUrl}hls/${name}.m3u8`,
    stream,
    streamWhen: (name, fits, withinMs) =>
      until(
        `the stream ${name}`,
        async () => {
          const found = await stream(name);
          return found !== undefined && fits(found) && found;
        },
        withinMs,
      ),
    stop: () => gateway.close(),
  };
}

/** `/api/streams` of the gateway at this address. */
export async function listStreams(httpUrl: string): Promise<StreamView[]> {
  const response = await fetch(new URL('api/streams', httpUrl));
  const body = (await response.json()) as { streams: StreamView[] };
  return body.streams;
}
