/**
 * A first-come-first-served line that anybody can leave from the middle at no cost.
 */

/** What stands in a line; in one line at a time. */
export interface Place {
  prev: Place | undefined
  next: Place | undefined
}

export class Line<A extends Place> {
  private first: Place | undefined
  private last: Place | undefined
  size = 0

  push(place: A): void {
    place.prev = this.last
    place.next = undefined
    if (this.last === undefined) this.first = place
    else this.last.next = place
    this.last = place
    this.size++
  }

  peek(): A | undefined {
    return this.first as A | undefined
  }

  shift(): A | undefined {
    const place = this.first as A | undefined
    if (place !== undefined) this.remove(place)
    return place
  }

  /** The place must stand in this line. */
  remove(place: A): void {
    if (place.prev === undefined) this.first = place.next
    else place.prev.next = place.next
    if (place.next === undefined) this.last = place.prev
    else place.next.prev = place.prev
    place.prev = place.next = undefined
    this.size--
  }
}
