import { describe, expect, it } from 'vitest';
import { strayVariables } from '../../src/config/environment.ts';
import { OPTIONS } from '../../src/config/options.ts';

describe('strayVariables', () => {
  it.each([
    ['SLUICE_RTMP_PROT', 'SLUICE_RTMP_PORT'],
    ['SLUICE_HTTPPORT', 'SLUICE_HTTP_PORT'],
    ['SLUICE_HOSTS', 'SLUICE_HOST'],
    ['SLUICE_CONFG', 'SLUICE_CONFIG'],
    ['SLUICE_API_TOKENS', 'SLUICE_API_TOKEN'],
    ['SLUICE_PUBLISH_KEY', 'SLUICE_PUBLISH_KEYS'],
  ])('%s: names the nearest option, and not the value', (name, similar) => {
    expect(strayVariables({ [name]: 'S3cr3t', PATH: '/bin' })).toEqual([
      `${name} is not an option and sets nothing; did you mean ${similar}?`,
    ]);
  });

  it('leaves alone what is an option, far from all, or empty', () => {
    const options = OPTIONS.map(({ variable }) => [variable, 'x']);
    const others = { SLUICE_CONFIG: 'x', SLUICE_RTMP_PROT: '', SLUICE_SOMETHING_ELSE: 'x', RTMP_PORT: '1' };
    expect(strayVariables({ ...Object.fromEntries(options), ...others })).toEqual([]);
  });

  it('leaves alone what Kubernetes and Docker say of a service, and the gateway says to its children', () => {
    const ofService = (prefix: string) => ({
      [`${prefix}SERVICE_HOST`]: '10.0.0.1',
      [`${prefix}SERVICE_PORT`]: '1935',
      [`${prefix}SERVICE_PORT_RTMP`]: '1935',
      [`${prefix}PORT`]: 'tcp://10.0.0.1:1935',
      [`${prefix}PORT_1935_TCP`]: 'tcp://10.0.0.1:1935',
      [`${prefix}PORT_1935_TCP_PROTO`]: 'tcp',
      [`${prefix}PORT_1935_TCP_PORT`]: '1935',
      [`${prefix}PORT_1935_TCP_ADDR`]: '10.0.0.1',
    });
    const links = { SLUICE_NAME: '/edge/sluice', SLUICE_ENV_HTTP_PORT: '8080', SLUICE_PORT: '8080' };
    const child = {
      SLUICE_OWNER: '1',
      SLUICE_EVENT: 'live',
      SLUICE_APP: 'live',
      SLUICE_ARGS: 'x',
      SLUICE_ADDR: '::1',
    };
    for (const prefix of ['SLUICE_', 'SLUICE_RTMP_', 'SLUICE_HTP_', 'SLUICE_HLS_EDGE_'])
      expect(strayVariables(ofService(prefix)), prefix).toEqual([]);
    expect(strayVariables({ ...links, ...child })).toEqual([]);
  });
});
