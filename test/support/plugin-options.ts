import { IngestTotals } from '../../src/live/ingest-totals.ts';
import { PackagingFigures } from '../../src/packaging/packaging-figures.ts';
import type { GatewayPluginOptions } from '../../src/servers/http/gateway-plugin.ts';
import { RequestCounters } from '../../src/servers/http/request-counters.ts';
import { OPEN_ACCESS } from './open-access.ts';

/** The HTTP side of a gateway that has no streams. */
export function pluginOptions(): GatewayPluginOptions {
  return {
    version: '1.2.3',
    defaultApp: 'live',
    standalone: true,
    hls: { find: () => [], access: OPEN_ACCESS, onRequest: () => {}, onWanted: () => false },
    restoring: () => null,
    open: { rtmpPort: () => 1935, publicStreams: () => [], onSuccessor: () => {}, ready: () => true },
    api: {
      token: () => null,
      server: () => ({
        version: '1.2.3',
        node: 'v20.0.0',
        uptime: 1.5,
        rtmpPort: 1935,
        httpPort: null,
        defaultApp: 'live',
        memory: { rss: 3, heap: 1, external: 1 },
        storeBytes: 0,
        rtmpConnections: 0,
      }),
      streams: () => [],
      kick: () => false,
    },
    metrics: {
      packaging: new PackagingFigures(),
      streams: () => [],
      rtmp: () => ({ connections: 0, refused: 0 }),
      ingest: () => new IngestTotals().with([]),
      storeBytes: () => 0,
      storeQueuedBytes: () => 0,
      fileErrors: () => ({ state: 0, playlist: 0 }),
      mediaMemory: () => ({ used: 0, reserved: 0 }),
      transcoding: () => ({ running: 0, waiting: 0, started: 0, failed: 0, shed: 0 }),
      denied: () => ({ publish: 0, play: 0 }),
      hooks: () => ({ publish: { started: 0, failed: 0, dropped: 0, running: 0 } }),
    },
    counters: new RequestCounters(),
    incidents: {
      missing: () => {},
      refused: () => {},
      denied: () => {},
      unread: () => {},
      silent: () => {},
      crowded: () => {},
      fault: (error) => {
        throw error;
      },
    },
  };
}
