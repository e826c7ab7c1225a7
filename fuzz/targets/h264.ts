import {
  ACCESS_UNIT,
  buildAvcC,
  h264CodecString,
  h264Track,
  parameterSetsIn,
  parseAvcC,
  parseSps,
  removeEmulationPrevention,
  scanAccessUnit,
} from '../../src/codecs/h264.ts';
import { readX264Settings } from '../../src/codecs/x264-settings.ts';
import { check, failure } from '../support/tolerate.ts';

/** What the rest is u8: 0 a decoder configuration, 1 an SPS, 2 and more an access unit; then that. */
export const maxLength = 2048;

export function fuzz(data: Buffer): void {
  if (data.length === 0) return;
  const what = data.readUInt8(0);
  const bytes = data.subarray(1);
  const code = failure(() => {
    if (what === 0) configuration(bytes);
    else if (what === 1) parameterSet(bytes);
    else accessUnit(bytes, (what & 3) + 1);
  });
  check(code === null || code === 'SLUICE_CODEC_MALFORMED', `${code} from H.264`);
}

function configuration(record: Buffer): void {
  const parameters = parseAvcC(record);
  const again = parseAvcC(buildAvcC(parameters));
  check(JSON.stringify(again) === JSON.stringify(parameters), 'another configuration after building it');
  h264Track('v0', record, parameters);
}

function parameterSet(sps: Buffer): void {
  check(removeEmulationPrevention(sps).length <= sps.length, 'more bytes than before');
  check(/^avc1\.[0-9a-f]{6}$/.test(h264CodecString(sps)), 'codec string');
  const { width, height, frameRate } = parseSps(sps);
  check(Number.isInteger(width) && width > 0 && width <= 16_384, `width ${width}`);
  check(Number.isInteger(height) && height > 0 && height <= 16_384, `height ${height}`);
  check(frameRate === null || (frameRate >= 1 && frameRate <= 300), `frame rate ${frameRate}`);
}

function accessUnit(unit: Buffer, nalLengthSize: number): void {
  const found = scanAccessUnit(unit, nalLengthSize);
  const { sps, pps } = parameterSetsIn(unit, nalLengthSize);
  check(sps.length + pps.length <= 64, 'too many parameter sets');
  check(sps.length === 0 || (found & ACCESS_UNIT.SPS) !== 0, 'an SPS that the scan did not see');
  const settings = readX264Settings(unit, nalLengthSize);
  check(settings === null || settings.keyint >= 0, `keyint ${settings?.keyint}`);
}
