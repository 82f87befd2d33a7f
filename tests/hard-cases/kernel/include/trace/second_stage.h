// Only the second stage reads this.
