import { request } from 'node:http';
import { getOnce } from '../support/http.js';
import { readMetrics, sumOf } from '../support/metrics.js';

const METRIC = 'sluice_store_bytes';
const NUMBERED = /^(.*-)(\d+)(\.\w+)$/;

/** How much media the gateway holds: by its metric; where it has none, by asking for every segment's size. */
export async function retainedMedia(httpPort, names) {
  const stored = sumOf(await readMetrics(httpPort), METRIC);
  if (stored !== null) return { megabytes: stored / 1e6, how: `the gateway's ${METRIC}` };
  let bytes = 0;
  for (const name of names) {
    for (const size of await segmentSizes(`http://127.0.0.1:${httpPort}/hls/${name}/media.m3u8`))
      bytes += size;
  }
  return { megabytes: bytes / 1e6, how: 'sizes of all segments that can still be fetched' };
}

/** Of all that are listed, and of those before them for as long as there are any: they are numbered. */
async function segmentSizes(playlist) {
  const { status, text } = await getOnce(playlist);
  if (status !== 200) return [];
  const uris = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const sizes = await Promise.all(uris.map((uri) => sizeOf(new URL(uri, playlist))));
  const [, before, number, after] = NUMBERED.exec(uris[0]) ?? [];
  for (let earlier = Number(number) - 1; ; earlier--) {
    const size = await sizeOf(new URL(`${before}${earlier}${after}`, playlist));
    if (size === null) return sizes.filter((one) => one !== null);
    sizes.push(size);
  }
}

/** Null where there is nothing. */
function sizeOf(address) {
  return new Promise((resolve, reject) => {
    request(address, { method: 'HEAD', agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200 ? Number(response.headers['content-length']) : null);
    })
      .once('error', reject)
      .end();
  });
}
