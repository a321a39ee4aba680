import { expect, test } from 'vitest'
import { createSocketGarbage } from '../../src/transport/socket-garbage.ts'

test('young garbage is collected once for every 8 MiB that came in, and never without the means', () => {
  let collections = 0
  const note = createSocketGarbage(() => collections++)
  for (let record = 0; record < 4096; record++) note(16 * 1024)
  expect(collections).toBe(8)
  expect(() => createSocketGarbage(undefined)(2 ** 40)).not.toThrow()
})
