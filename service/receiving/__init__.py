"""What all sources but HTTP have in common: nobody waits for an answer, so what they bring is held until it is safe."""
