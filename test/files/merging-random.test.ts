import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { newSpaceId } from '../../src/base/ids.ts'
import { createSeededRandom, randomBelow } from '../../src/base/random.ts'
import { createSystemRandom } from '../../src/base/system-random.ts'
import { converged, createDevice, linkDevices, until } from '../support/two-folders.ts'

const lineCount = 24
const seeds = (process.env['SKEIN_SEEDS'] ?? '1,2').split(',').map(Number)

describe('three devices that each edit lines of their own, apart and together', () => {
  test.each(seeds)(
    'seed %i: one file on all of them, with the last edit of every line',
    async (seed) => {
      const random = createSeededRandom(seed)
      const spaceId = newSpaceId(createSystemRandom())
      const devices = await Promise.all([0, 1, 2].map(() => createDevice(spaceId)))
      const [a, b, c] = devices
      if (a === undefined || b === undefined || c === undefined) return
      const links = [await linkDevices(a, b), await linkDevices(b, c), await linkDevices(a, c)]
      const lines = Array.from({ length: lineCount }, (_, line) => `line ${line}`)
      const textOf = (): string => lines.map((line) => `${line}\n`).join('')
      await writeFile(join(a.root, 'shared.txt'), textOf())
      await converged(devices)
      let number = 0
      for (let round = 0; round < 5; round++) {
        for (const link of links) await link.cut()
        for (const [index, device] of devices.entries()) {
          const own = (await readFile(join(device.root, 'shared.txt'), 'utf8')).split('\n')
          for (let edit = randomBelow(random, 4); edit > 0; edit--) {
            // Blocks of two lines with two between them
            const line = (randomBelow(random, 2) * 12 + index * 4 + randomBelow(random, 2)) % lineCount
            own[line] = lines[line] = `line ${line}, edit ${number++} by ${index}`
            await writeFile(join(device.root, 'shared.txt'), own.join('\n'))
            if (randomBelow(random, 2) === 0) await new Promise((resolve) => setTimeout(resolve, 60))
          }
        }
        await new Promise((resolve) => setTimeout(resolve, 100))
        await until(() => devices.every(({ folder }) => folder.status().state === 'in-sync'), devices)
        // Not all at once: merges of some reach the others before, while and after those merge
        const order = [...links].sort(() => random.float() - 0.5)
        for (const link of order) {
          await link.heal()
          await new Promise((resolve) => setTimeout(resolve, randomBelow(random, 3) * 40))
        }
        expect(Object.keys(await converged(devices))).toEqual(['shared.txt'])
        for (const { root } of devices)
          expect(await readFile(join(root, 'shared.txt'), 'utf8')).toBe(textOf())
      }
      for (const device of devices) await device.close()
    },
    60_000,
  )
})
