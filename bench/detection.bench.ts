/**
 * How soon a mesh of five real peers notices that one is gone, how soon it is back, and how often a bad network makes
 * it cry wolf: in network namespaces with packets dropped, lost and held up. Needs root. Each time is that of the
 * last device to notice.
 */
import { badWeather, cutOff, freeze, kill, type Outage } from '../test/support/mesh-cases.ts'
import { createMeshLab, type MeshLab } from '../test/support/mesh-lab.ts'
import type { MeshPeer } from '../test/support/mesh-peer.ts'
import type { BenchContext } from './bench-harness.ts'

export const name = 'detection'
export const about =
  'five devices: a dead one noticed, false alarms at 30 % loss and 1 s stalls, back after heal'
export const timeoutMs = 30 * 60_000
export const figures = ['cut_s', 'sigstop_s', 'sigkill_s', 'false_alarms', 'reconnect_s']

const faults: readonly (readonly [string, (mesh: MeshLab, peer: MeshPeer) => Promise<Outage>])[] = [
  ['cut_s', cutOff],
  ['sigstop_s', freeze],
  ['sigkill_s', kill],
]

export async function run(context: BenchContext): Promise<void> {
  const runs = context.isQuick ? 1 : 5
  await using mesh = await createMeshLab({ hosts: 5 })
  await mesh.settled()
  const back: number[] = []
  for (const [figure, happen] of faults) {
    const noticed: number[] = []
    for (let index = 0; index < runs; index++) {
      context.signal.throwIfAborted()
      const { noticedMs, backMs } = await happen(mesh, mesh.peer(index % 5))
      noticed.push(noticedMs)
      if (figure === 'cut_s') back.push(backMs)
      await mesh.settled()
    }
    context.progress(`${figure}: ${noticed.join(', ')} ms`)
    context.report(figure, context.median(noticed) / 1000, 's', { runs })
  }
  context.progress(`reconnected after the cut was healed: ${back.join(', ')} ms`)
  context.report('reconnect_s', context.median(back) / 1000, 's', { runs })
  const spanMs = context.isQuick ? 15_000 : 60_000
  const { downs, suspects } = await badWeather(mesh, spanMs)
  const note = `in ${spanMs / 1000} s on 20 links, 30 % loss each way; ${suspects} suspicions`
  context.report('false_alarms', downs, '', { runs: 1, note })
}
