"""From calls to what happened: events through machines, in order, and what every restart did to every lock."""
