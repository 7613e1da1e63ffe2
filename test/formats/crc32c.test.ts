import { describe, expect, test } from 'vitest';
import { crc32c, maskedCrc32c } from '../../src/formats/crc32c.ts';

describe('crc32c', () => {
  // RFC 3720, appendix B.4, and the check value of the CRC catalogue.
  test.each([
    ['nothing', [], 0],
    ['32 zeros', new Array(32).fill(0), 0x8a9136aa],
    ['32 times 0xff', new Array(32).fill(255), 0x62a8ab43],
    ['0 to 31', Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
    ['31 to 0', Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
    ['"123456789"', [...Buffer.from('123456789')], 0xe3069283],
  ])('of %s', (_, bytes, expected) => {
    expect(crc32c(Uint8Array.from(bytes))).toBe(expected);
  });

  test('does not depend on where the bytes lie in memory', () => {
    const bytes = Uint8Array.from({ length: 45 }, (_, i) => (i * 97) & 255);
    const sums = [0, 1, 2, 3].map((shift) => {
      const memory = new Uint8Array(64);
      memory.set(bytes, shift);
      return crc32c(memory.subarray(shift, shift + bytes.length));
    });
    expect(new Set(sums).size).toBe(1);
  });

  test('is masked as LevelDB does', () => {
    // The mask undone: rotate right by 17 after the subtraction.
    const masked = maskedCrc32c(Buffer.from('foo'));
    const rotated = (masked - 0xa282ead8) >>> 0;
    expect(((rotated >>> 17) | (rotated << 15)) >>> 0).toBe(crc32c(Buffer.from('foo')));
  });
});
