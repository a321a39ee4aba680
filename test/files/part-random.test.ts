/** Random histories of three devices, one whole, one that only receives, one that keeps a part: on real disks. */
import { mkdir, readdir, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { newSpaceId } from '../../src/base/ids.ts'
import { createSeededRandom, randomBelow } from '../../src/base/random.ts'
import { createSystemRandom } from '../../src/base/system-random.ts'
import { createDevice, type Device, linkDevices, picture, until } from '../support/two-folders.ts'

const names = ['p/one', 'p/two', 'p/deep/three', 'q/one', 'q/two', 'top'] as const
const seeds = [1, 2, 3, 4, 5, 6, 7, 8]

test.each(seeds)(
  'seed %i: nothing is sent that should not be, nothing is lost, and all ends as it must',
  async (seed) => {
    const random = createSeededRandom(seed)
    const pick = <T>(from: readonly T[]): T => from[randomBelow(random, from.length)] as T // because: never empty
    const spaceId = newSpaceId(createSystemRandom())
    const devices = await Promise.all([1, 2, 3].map(() => createDevice(spaceId)))
    try {
      const [a, b, c] = devices
      if (a === undefined || b === undefined || c === undefined) throw new Error('three devices')
      const links = [await linkDevices(a, b), await linkDevices(a, c), await linkDevices(b, c)]
      for (const name of names) await put(a, name, `first ${name}`)
      await until(async () => (await picture(c.root))['top'] !== undefined, devices)
      b.rules = { isReadOnly: true, selection: { only: [], except: [] } }
      c.rules = { isReadOnly: false, selection: { only: [], except: ['/p/'] } }
      await b.restart()
      await c.restart()
      const byB = new Set<string>()
      /** What goes by b's own hand is not ours to keep. */
      const destroys = async (device: Device, name: string): Promise<void> => {
        if (device === b) byB.delete(await readFile(join(device.root, name), 'utf8').catch(() => ''))
      }
      for (let step = 0; step < 24; step++) {
        const device: Device = pick([a, b, c])
        // What is not selected is no business of the third one's person here
        const mine = device === c ? names.filter((name) => !name.startsWith('p')) : names
        const [name, to] = [pick(mine), pick(mine)]
        switch (pick(['write', 'write', 'unlink', 'rename', 'cut', 'heal', 'wait'] as const)) {
          case 'write': {
            await destroys(device, name)
            const content = `${seed} ${step} by ${device === b ? 'b' : 'others'}`
            await put(device, name, content)
            if (device === b) byB.add(content)
            break
          }
          case 'unlink': {
            await destroys(device, name)
            await unlink(join(device.root, name)).catch(() => undefined)
            break
          }
          case 'rename': {
            if (name !== to) await destroys(device, to)
            await rename(join(device.root, name), join(device.root, to)).catch(() => undefined)
            break
          }
          case 'cut':
            await pick(links).cut()
            break
          case 'heal':
            await pick(links).heal()
            break
          case 'wait':
            await new Promise((resolve) => setTimeout(resolve, 150))
        }
      }
      for (const link of links) await link.cut()
      for (const link of links) await link.heal()
      await settled(devices)
      // Nothing of b's ever reached the others
      for (const other of [a, c])
        expect(
          Object.values(await picture(other.root)).filter((content) => content.endsWith(' by b')),
        ).toEqual([])
      const asked = b.folder.part.reverting.ask([''])
      b.folder.rescan()
      await asked
      const whole = async (): Promise<string> => JSON.stringify(await picture(a.root))
      await until(async () => JSON.stringify(await picture(b.root)) === (await whole()), devices, 20_000)
      const part = Object.entries(await picture(a.root)).filter(([path]) => !path.startsWith('p/'))
      await until(
        async () => JSON.stringify(await picture(c.root)) === JSON.stringify(Object.fromEntries(part)),
        devices,
        20_000,
      )
      const kept = new Set<string>(Object.values(await picture(b.root)))
      for (const { kept: path } of await b.folder.versions.list())
        kept.add(await readFile(join(b.root, path), 'utf8').catch(() => ''))
      expect([...byB].filter((content) => !kept.has(content))).toEqual([])
    } finally {
      for (const device of devices) await device.close()
    }
  },
  60_000,
)

async function put({ root }: Device, name: string, content: string): Promise<void> {
  const path = join(root, name)
  await mkdir(join(path, '..'), { recursive: true })
  await writeFile(path, content).catch(async () => {
    // Something else stands there
    await rm(path, { recursive: true, force: true })
    await writeFile(path, content)
  })
}

/** Nobody has anything to do, for a while. */
async function settled(devices: readonly Device[]): Promise<void> {
  let last = ''
  let since = Date.now()
  await until(
    async () => {
      const now = devices.map(({ folder }) => `${folder.status().state} ${folder.status().rounds}`).join()
      const isIn = devices.every(({ folder }) => folder.status().state === 'in-sync')
      if (now !== last || !isIn) since = Date.now()
      last = now
      return isIn && Date.now() - since > 400
    },
    devices,
    25_000,
  )
  expect((await readdir(devices[0]?.root ?? '')).length).toBeGreaterThan(0)
}
