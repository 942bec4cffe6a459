"""The journal: events are stored on this machine's disk before they are answered, and delivered from there.

ranges    which positions of a stream are settled
record    rows of events as bytes
store     the SQLite file: one transaction stores, settles and forgets
writer    the thread that commits for all who wait
feeder    one lane's way through one route's stored events; `share` of the lane is theirs, `burials` are what goes to
          the dead letters instead; `books` is what a feeder needs of its journal
stream    one route's stored events
journal   all of them, with their limits
volume    where a journal may live, and who may use it
opening   how the journal of a folder is opened
state     what the file knows of its streams; `loading` reads it
inspection, verification, showing   what an operator sees of it
"""
