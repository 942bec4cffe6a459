"""What the code promises elsewhere: documents, tables and the shape of the house agree with it."""
