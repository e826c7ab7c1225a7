import { describe, expect, it } from 'vitest';
import {
  AmfDictionary,
  AmfEcmaArray,
  AmfTypedObject,
  type AmfValue,
  AmfXml,
  isAmfObject,
  memberOf,
  membersOf,
  numberOf,
  stringOf,
} from '../../../src/formats/amf/value.ts';
import { object } from './support.ts';

const literal = { app: 'live', width: 1280, nothing: null };

describe.each<[string, AmfValue]>([
  ['a literal', literal],
  ['a decoded object', object(literal)],
  ['an ECMA array', new AmfEcmaArray(literal)],
  ['a typed object', new AmfTypedObject('Info', literal)],
])('%s', (_name, value) => {
  it('has members', () => {
    expect(isAmfObject(value)).toBe(true);
    expect(membersOf(value)).toEqual(literal);
    expect(memberOf(value, 'nothing')).toBeNull();
  });

  it('gives a member only as the type asked for', () => {
    expect(stringOf(value, 'app')).toBe('live');
    expect(numberOf(value, 'width')).toBe(1280);
    expect(stringOf(value, 'width')).toBeUndefined();
    expect(numberOf(value, 'app')).toBeUndefined();
  });

  it('has no members from a prototype', () => {
    expect(memberOf(value, 'toString')).toBeUndefined();
    expect(memberOf(value, '__proto__')).toBeUndefined();
    expect(memberOf(value, 'absent')).toBeUndefined();
  });
});

describe.each<[string, AmfValue]>([
  ['undefined', undefined],
  ['null', null],
  ['text', 'app'],
  ['a number', 1],
  ['a date', new Date(0)],
  ['an array', ['live']],
  ['bytes', new Uint8Array(2)],
  ['XML', new AmfXml('<app/>')],
  ['a dictionary', new AmfDictionary([['app', 'live']])],
])('%s', (_name, value) => {
  it('has no named members', () => {
    expect(isAmfObject(value)).toBe(false);
    expect(membersOf(value)).toBeUndefined();
    expect(memberOf(value, 'length')).toBeUndefined();
    expect(stringOf(value, 'app')).toBeUndefined();
    expect(numberOf(value, 'length')).toBeUndefined();
  });
});
