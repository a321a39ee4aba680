/** Five paired devices find each other and connect by themselves, whatever the network looks like when they start. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { addressChangeMs, cableMs, formingMs, restartMs } from '../support/mesh-cases.ts'
import type { MeshLab } from '../support/mesh-lab.ts'
import { createMeshLab, median } from '../support/mesh-lab.ts'
import { describeWith } from '../support/needs.ts'

/** What the product promises is printed and measured in the benches; here it must only hold on a busy machine. */
const generousMs = 10_000
const say = (text: string): void => void process.stdout.write(`    ${text}\n`)

describeWith(['ip', 'nft', 'netns'], 'a mesh of five devices', () => {
  let mesh: MeshLab
  beforeAll(async () => {
    mesh = await createMeshLab({ hosts: 5, withDefaultRoute: true })
  }, 120_000)
  afterAll(() => mesh[Symbol.asyncDispose]())

  test.each(['default-route', 'no-default-route', 'vpn-route'] as const)(
    'is whole soon after all start, %s',
    async (route) => {
      const { afterReadyMs, afterSpawnMs } = await formingMs(mesh, route)
      say(`${route}: whole ${afterReadyMs} ms after the last was ready, ${afterSpawnMs} ms after the start`)
      expect(afterReadyMs).toBeLessThan(generousMs)
      await mesh.settled()
    },
  )

  test('takes a device back that was killed and comes up under new ports', async () => {
    const times: number[] = []
    for (const host of [1, 2, 3]) times.push(await restartMs(mesh, mesh.peer(host)))
    say(`restart under a new port: whole after ${median(times)} ms (${times.join(', ')})`)
    expect(median(times)).toBeLessThan(generousMs)
    await mesh.settled()
  })

  test('follows a device to another address', async () => {
    const elapsedMs = await addressChangeMs(mesh, mesh.peer(1), 77)
    say(`address change: everyone reaches it there after ${elapsedMs} ms`)
    expect(elapsedMs).toBeLessThan(2 * generousMs)
    await mesh.settled()
  })

  test('takes a device back whose cable was out for ten seconds', async () => {
    const { noticedMs, backMs } = await cableMs(mesh, mesh.peer(2), 10_000)
    say(`cable out: noticed after ${noticedMs} ms, whole ${backMs} ms after it was in again`)
    expect(noticedMs).toBeLessThan(6_000)
    expect(backMs).toBeLessThan(generousMs)
    await mesh.settled()
  })
})
