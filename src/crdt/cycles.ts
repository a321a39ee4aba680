/**
 * Concurrent moves can put directories into each other. Every directory has one parent edge, so cycles are disjoint;
 * on each the newest edge is cut and its directory appears at the top. Pure given the edges; the same on every device.
 */
import { rootNodeId, type NodeId } from './node-id.ts'
import { compareStamps, type Stamp } from './record.ts'

export interface ParentEdge {
  readonly parent: NodeId
  readonly place: Stamp
}

/**
 * The nodes to be cut loose among those reachable from `starts` by parent edges.
 * @param edgeOf undefined for the top and for unknown nodes.
 */
export async function findDetached(
  starts: Iterable<NodeId>,
  edgeOf: (id: NodeId) => Promise<ParentEdge | undefined>,
): Promise<ReadonlySet<NodeId>> {
  const detached = new Set<NodeId>()
  const done = new Set<NodeId>([rootNodeId])
  for (const start of starts) {
    const path: (readonly [NodeId, ParentEdge])[] = []
    const onPath = new Set<NodeId>()
    let current = start
    while (!done.has(current) && !onPath.has(current)) {
      const edge = await edgeOf(current)
      if (edge === undefined) break
      path.push([current, edge])
      onPath.add(current)
      current = edge.parent
    }
    if (onPath.has(current)) {
      const cycle = path.slice(path.findIndex(([id]) => id === current))
      detached.add(newest(cycle))
    }
    for (const [id] of path) done.add(id)
    done.add(current)
  }
  return detached
}

function newest(cycle: readonly (readonly [NodeId, ParentEdge])[]): NodeId {
  return cycle.reduce((best, candidate) => {
    const order = compareStamps(candidate[1].place, best[1].place)
    return order > 0 || (order === 0 && candidate[0] > best[0]) ? candidate : best
  })[0]
}
