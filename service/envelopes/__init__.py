"""What a message of a source holds: one file per codec, each a plugin that `codec:` names."""
