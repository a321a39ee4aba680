/**
 * How long five paired devices take to be one mesh: real peers in network namespaces, after a start of all, and after
 * what happens to one of them. Needs root. Counted from the moment at which the last process said it was ready;
 * how long five processes take to start beside each other on this machine is no matter of the mesh.
 */
import { addressChangeMs, formingMs, restartMs, type RouteCase } from '../test/support/mesh-cases.ts'
import { createMeshLab } from '../test/support/mesh-lab.ts'
import type { BenchContext } from './bench-harness.ts'

export const name = 'discovery'
export const about = 'five devices: start to fully connected, restart under a new port, change of address'
/** Twenty meshes are formed one after the other. */
export const timeoutMs = 30 * 60_000
export const figures = ['mesh5_s', 'no_default_route_s', 'vpn_route_s', 'restart_port_s', 'address_change_s']

const cases: readonly (readonly [string, RouteCase])[] = [
  ['mesh5_s', 'default-route'],
  ['no_default_route_s', 'no-default-route'],
  ['vpn_route_s', 'vpn-route'],
]

export async function run(context: BenchContext): Promise<void> {
  const runs = context.isQuick ? 1 : 5
  await using mesh = await createMeshLab({ hosts: 5, withDefaultRoute: true })
  const report = (figure: string, timesMs: readonly number[], note?: string): void => {
    context.progress(`${figure}: ${timesMs.join(', ')} ms`)
    context.report(figure, context.median(timesMs) / 1000, 's', { runs, ...(note !== undefined && { note }) })
  }
  for (const [figure, route] of cases) {
    const ready: number[] = []
    const spawn: number[] = []
    for (let index = 0; index < runs; index++) {
      context.signal.throwIfAborted()
      const { afterReadyMs, afterSpawnMs } = await formingMs(mesh, route)
      ready.push(afterReadyMs)
      spawn.push(afterSpawnMs)
    }
    report(figure, ready, `${(context.median(spawn) / 1000).toFixed(2)} s after the five starts`)
  }
  const restarts: number[] = []
  const moves: number[] = []
  for (let index = 0; index < runs; index++) {
    context.signal.throwIfAborted()
    restarts.push(await restartMs(mesh, mesh.peer(index % 5)))
    await mesh.settled()
    moves.push(await addressChangeMs(mesh, mesh.peer(index % 5), 100 + index))
    await mesh.settled()
  }
  report('restart_port_s', restarts, 'after it was ready again')
  report('address_change_s', moves)
}
